"""
The ledger's tables of scores and verdicts, which outlive results.

A *score* is the last one that an image got, without its map and its file's name: a biopsy or a
follow-up comes months later. A *verdict* is what was found out about an image, with a copy of the
score that it had by then. Women and machines stand in both as keyed HMACs.
"""

from typing import Final

COLUMNS: Final = """
    image_id     TEXT PRIMARY KEY,
    result_id    TEXT NOT NULL,
    bundle_id    TEXT NOT NULL,
    model        TEXT NOT NULL,                -- SHA-256 of the model file
    preprocess   TEXT NOT NULL,
    raw          REAL NOT NULL,
    malignant    REAL NOT NULL,
    threshold    REAL NOT NULL,
    domain       TEXT NOT NULL,
    view         TEXT,
    maker        TEXT,                         -- of the machine, from a closed list
    machine      TEXT,                         -- keyed HMAC, 8 digits
    woman        TEXT,                         -- keyed HMAC of issuer and Patient ID
    completed_at REAL NOT NULL,"""
VERDICT_TABLES: Final = f"""
CREATE TABLE scores ({COLUMNS.removesuffix(",")}
) STRICT, WITHOUT ROWID;
CREATE INDEX scores_by_time ON scores (completed_at);
CREATE TABLE verdicts ({COLUMNS}
    truth        TEXT NOT NULL,                -- malignant or benign
    basis        TEXT NOT NULL,                -- biopsy, follow-up or reader
    score_seen   INTEGER NOT NULL,             -- 1: whoever judged had seen the score
    given_at     REAL NOT NULL                 -- Unix time
) STRICT, WITHOUT ROWID;
"""
FROM_RESULTS: Final = """
INSERT OR IGNORE INTO scores (image_id, result_id, bundle_id, model, preprocess, raw, malignant,
    threshold, domain, view, completed_at)
SELECT images.image_id, result_id, bundle_id, json_extract(said, '$.model.sha256'),
    json_extract(said, '$.model.preprocess'), CAST(json_extract(said, '$.score.raw') AS REAL),
    CAST(json_extract(said, '$.score.malignant') AS REAL),
    CAST(json_extract(said, '$.decision.threshold') AS REAL),
    coalesce(json_extract(said, '$.domain.kind'), 'unknown'), json_extract(said, '$.image.view'),
    completed_at
FROM (SELECT seq, completed_at, CAST(payload AS TEXT) AS said FROM results)
    JOIN outcomes USING (seq) JOIN images USING (result_id) WHERE scored = 1 AND json_valid(said)"""
"""
Takes the scores of results that were there before this table.

Their women and machines are not known.
"""
