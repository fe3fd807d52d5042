-- +goose Up
CREATE TABLE operations (
    id          TEXT    PRIMARY KEY,
    status      TEXT    NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    request     TEXT,             -- JSON, until it has ended
    result      TEXT,             -- JSON, once succeeded
    failure     TEXT,             -- JSON, once failed
    traceparent TEXT    NOT NULL, -- of the request; empty if it had none
    created_at  INTEGER NOT NULL,
    started_at  INTEGER,
    finished_at INTEGER
) STRICT;
CREATE INDEX operations_finished_at ON operations (finished_at) WHERE finished_at IS NOT NULL;

-- +goose Down
DROP TABLE operations;
