-- +goose Up
CREATE TABLE albums (
    id          bigint PRIMARY KEY,
    title       text        NOT NULL,
    artist      text        NOT NULL,
    price_cents bigint      NOT NULL,
    genre       text,
    year        integer,
    created_at  timestamptz NOT NULL
);
-- An artist can be longer than what an index can hold.
CREATE INDEX albums_artist ON albums (md5(artist), id);
CREATE INDEX albums_genre ON albums (genre, id);

-- The next id to assign. Ids that callers chose are skipped.
CREATE SEQUENCE album_ids AS bigint;

INSERT INTO albums (id, title, artist, price_cents, genre, year, created_at) VALUES
    (1, 'Blue Train', 'John Coltrane', 5699, 'Jazz', 1958, now()),
    (2, 'Jeru', 'Gerry Mulligan', 1799, 'Jazz', 1962, now()),
    (3, 'Sarah Vaughan and Clifford Brown', 'Sarah Vaughan', 3999, 'Jazz', 1955, now());

-- +goose Down
DROP SEQUENCE album_ids;
DROP TABLE albums;
