"""
The ledger's tables of exams' scores and verdicts, new in schema version 6, which outlive exams.

An exam's *score* is that of its last revision, if this has one: of the breast whose score is
higher. An exam's *verdict* is what was found out about all of it, with a copy of the score that it
had by then. Both name its images, so that erasing one of these finds them when the exam itself is
gone.
"""

from typing import Final

COLUMNS: Final = """
    exam_id      TEXT PRIMARY KEY,             -- as published
    result_id    TEXT NOT NULL,                -- of the revision
    revision     INTEGER NOT NULL,
    images       TEXT NOT NULL,                -- ids of its images, with a blank between
    bundle_id    TEXT NOT NULL,
    model        TEXT NOT NULL,                -- SHA-256 of the model file
    preprocess   TEXT NOT NULL,
    logit        REAL NOT NULL,                -- of the breast, before calibration
    malignant    REAL NOT NULL,
    threshold    REAL NOT NULL,                -- reached if one of its breasts is called
    domain       TEXT NOT NULL,
    maker        TEXT,                         -- as in scores; NULL if its images differ
    machine      TEXT,
    woman        TEXT,
    completed_at REAL NOT NULL,"""
EXAM_VERDICT_TABLES: Final = f"""
CREATE TABLE exam_scores ({COLUMNS.removesuffix(",")}
) STRICT, WITHOUT ROWID;
CREATE INDEX exam_scores_by_time ON exam_scores (completed_at);
CREATE TABLE exam_verdicts ({COLUMNS}
    truth        TEXT NOT NULL,                -- malignant or benign
    basis        TEXT NOT NULL,                -- biopsy, follow-up or reader
    score_seen   INTEGER NOT NULL,             -- 1: whoever judged had seen the score
    given_at     REAL NOT NULL                 -- Unix time
) STRICT, WITHOUT ROWID;
"""
EXAM_SCORE: Final = (
    "exam_id, result_id, revision, images, bundle_id, model, preprocess, logit, malignant, "
    "threshold, domain, maker, machine, woman, completed_at"
)
"""The columns of an exam's score."""


def _of_all(column: str) -> str:
    """Return the value that the scores of an exam's images have in common, as SQL."""
    return (
        f"(SELECT CASE WHEN count(DISTINCT {column}) = 1 THEN max({column}) END FROM scores "
        "JOIN json_each(said, '$.views') AS view "
        "ON scores.image_id = json_extract(view.value, '$.image_id'))"
    )


THRESHOLD: Final = """(SELECT threshold FROM (
        SELECT CAST(json_extract(each.value, '$.decision.threshold') AS REAL) AS threshold,
            CAST(json_extract(each.value, '$.malignant') AS REAL) AS score, each.key AS place
        FROM json_each(said, '$.breasts') AS each)
    ORDER BY score >= threshold DESC, score DESC, place LIMIT 1)"""
"""
The threshold, as SQL, of the breast that is called, else of the higher one.

Of two the lower may be called, for one view has another threshold than both, as in `evaluate`.
"""
FROM_EXAM_RESULTS: Final = f"""
INSERT OR IGNORE INTO exam_scores ({EXAM_SCORE})
SELECT exam_id, exams.result_id, revision,
    (SELECT group_concat(json_extract(view.value, '$.image_id'), ' ')
        FROM json_each(said, '$.views') AS view),
    json_extract(said, '$.model.bundle'), json_extract(said, '$.model.sha256'),
    json_extract(said, '$.model.preprocess'),
    CAST(json_extract(breast.value, '$.logit') AS REAL),
    CAST(json_extract(breast.value, '$.malignant') AS REAL),
    {THRESHOLD},
    json_extract(breast.value, '$.domain'),
    {_of_all("maker")}, {_of_all("machine")}, {_of_all("woman")}, completed_at
FROM (SELECT exam, result_id, completed_at,
        CASE WHEN json_valid(CAST(payload AS TEXT)) THEN CAST(payload AS TEXT) ELSE '{{}}' END
        AS said FROM exam_results)
    JOIN exams USING (exam, result_id) JOIN json_each(said, '$.breasts') AS breast
WHERE json_extract(breast.value, '$.laterality') = json_extract(said, '$.score.laterality')"""
"""Takes the scores of exams from their last revisions; one that was taken back has none."""
