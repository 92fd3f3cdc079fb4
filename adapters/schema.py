"""The tables of the embedded mode's one SQLite file."""

#: Version of SCHEMA, kept in the file's `user_version`.
SCHEMA_VERSION = 2

#: Version of a file → what makes the next version of it.
MIGRATIONS = {
    1: (
        "ALTER TABLE locks RENAME COLUMN project_id TO scope",
        "ALTER TABLE segments ADD COLUMN wasted_micro_usd INTEGER NOT NULL DEFAULT 0",
    ),
}

SCHEMA = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY, kind TEXT NOT NULL, project_id TEXT NOT NULL, user_id TEXT NOT NULL,
    generator TEXT NOT NULL, segment_count INTEGER NOT NULL, width INTEGER NOT NULL,
    on_segment_failure TEXT NOT NULL, daisy_chain INTEGER NOT NULL, created_at INTEGER NOT NULL,
    settings TEXT NOT NULL,
    updated_at INTEGER NOT NULL, deadline_at INTEGER NOT NULL, wake_at INTEGER, state TEXT NOT NULL,
    done_count INTEGER NOT NULL, skipped_count INTEGER NOT NULL, resume_count INTEGER NOT NULL,
    progress INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, last_frame TEXT, superseded_by TEXT,
    error TEXT, stitch_error TEXT, warnings TEXT, route TEXT, film TEXT, stitch TEXT, cost TEXT
) WITHOUT ROWID;
CREATE INDEX jobs_by_wake ON jobs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX jobs_by_age ON jobs (created_at);
CREATE TABLE segments (
    job_id TEXT NOT NULL, position INTEGER NOT NULL, updated_at INTEGER NOT NULL, state TEXT NOT NULL,
    attempt INTEGER NOT NULL, tries INTEGER NOT NULL, claimed_at INTEGER, operation TEXT, not_before INTEGER,
    waiting_quota INTEGER NOT NULL, clip TEXT, error TEXT, price_micro_usd INTEGER NOT NULL,
    wasted_micro_usd INTEGER NOT NULL, wake_at INTEGER,
    PRIMARY KEY (job_id, position)
) WITHOUT ROWID;
CREATE INDEX segments_by_wake ON segments (wake_at) WHERE wake_at IS NOT NULL;
-- Prompts are long and never change, so they stay out of the rows that do.
CREATE TABLE specs (
    job_id TEXT NOT NULL, position INTEGER NOT NULL, spec TEXT NOT NULL, PRIMARY KEY (job_id, position)
) WITHOUT ROWID;
CREATE TABLE locks (
    scope TEXT NOT NULL, kind TEXT NOT NULL, job_id TEXT NOT NULL, PRIMARY KEY (scope, kind)
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL,
    visible_at INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,
    claimant_died INTEGER NOT NULL DEFAULT 0, owner TEXT, reason TEXT
);
CREATE INDEX messages_ready ON messages (lane, visible_at, id) WHERE owner IS NULL;
CREATE INDEX messages_owned ON messages (owner) WHERE owner IS NOT NULL;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, body TEXT NOT NULL, deliveries INTEGER NOT NULL,
    reason TEXT NOT NULL, died_at INTEGER NOT NULL
);
"""
