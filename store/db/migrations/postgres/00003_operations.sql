-- +goose Up
CREATE TABLE operations (
    id          text        PRIMARY KEY,
    status      text        NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed')),
    request     text,                 -- JSON, until it has ended
    result      text,                 -- JSON, once succeeded
    failure     text,                 -- JSON, once failed
    traceparent text        NOT NULL, -- of the request; empty if it had none
    created_at  timestamptz NOT NULL,
    started_at  timestamptz,
    finished_at timestamptz
);
CREATE INDEX operations_finished_at ON operations (finished_at) WHERE finished_at IS NOT NULL;

-- +goose Down
DROP TABLE operations;
