"""
The tables of exams, new in schema version 5, and `exam_reports` in 7.

An *exam* is the images of one study, or of one reference of a sender. *exam_headers* has what the
headers of examined images name, *exam_images* says which images an exam has, *exam_models* keeps
the facts by which a bundle's scores become an exam's. *exam_results* has every revision that was
published, numbered on its own, and *exam_outbox* those that the broker does not have yet. Names of
studies, objects, patients and folders are keyed hashes.
"""

from typing import Final

EXAMS: Final = """
ALTER TABLE submissions ADD COLUMN exam TEXT;  -- keyed hash of the sender's reference, or folder
CREATE TABLE exams (
    exam      TEXT PRIMARY KEY,                -- keyed hash of study, reference or folder
    exam_id   TEXT NOT NULL UNIQUE,            -- as published
    revision  INTEGER NOT NULL DEFAULT 0,      -- that was published last; 0: none
    result_id TEXT,                            -- of that revision
    contents  TEXT,                            -- digest of what that revision says
    boot      TEXT NOT NULL DEFAULT '',        -- of the machine, by which the next two count
    first_s   REAL,                            -- first image since; NULL: nothing to be published
    last_s    REAL NOT NULL DEFAULT 0,         -- last image
    too_many  INTEGER NOT NULL DEFAULT 0       -- 1: more images came than an exam has
) STRICT;
CREATE INDEX exams_waiting ON exams (exam) WHERE first_s IS NOT NULL;
CREATE TABLE exam_headers (                    -- keyed hashes; no row: nobody has looked
    image_id TEXT PRIMARY KEY REFERENCES images,
    study    TEXT,
    instance TEXT,                             -- of the SOP Instance UID
    patient  TEXT                              -- of issuer and Patient ID
) STRICT, WITHOUT ROWID;
CREATE TABLE exam_images (
    exam     TEXT NOT NULL REFERENCES exams,
    image_id TEXT NOT NULL REFERENCES images,
    current  INTEGER NOT NULL,                 -- 0: it belongs to another exam by now
    PRIMARY KEY (exam, image_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX exam_images_by_image ON exam_images (image_id);
CREATE TABLE exam_models (
    bundle_id TEXT NOT NULL,
    file      TEXT NOT NULL,
    facts     TEXT NOT NULL,                   -- the file's entry in the manifest
    PRIMARY KEY (bundle_id, file)
) STRICT, WITHOUT ROWID;
CREATE TABLE exam_results (
    seq          INTEGER PRIMARY KEY,          -- of exams alone, without gaps
    exam         TEXT NOT NULL REFERENCES exams,
    result_id    TEXT NOT NULL UNIQUE,
    completed_at REAL NOT NULL,
    payload      BLOB NOT NULL,                -- what is published, to the byte
    crc32        INTEGER NOT NULL
) STRICT;
CREATE INDEX exam_results_by_exam ON exam_results (exam);
CREATE TABLE exam_outbox (
    seq  INTEGER PRIMARY KEY REFERENCES exam_results,
    held TEXT                                  -- why the broker refused it; NULL: still to be sent
) STRICT;
INSERT INTO meta VALUES ('exam_seq', '0');
"""
EXAM_REPORTS: Final = """
-- exam results that the PACS does not have yet, as exam_outbox has those for the broker
CREATE TABLE exam_reports (
    seq  INTEGER PRIMARY KEY REFERENCES exam_results,
    held TEXT
) STRICT;
"""
