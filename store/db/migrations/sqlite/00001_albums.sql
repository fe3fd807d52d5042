-- +goose Up
CREATE TABLE albums (
    id          INTEGER PRIMARY KEY,
    title       TEXT    NOT NULL,
    artist      TEXT    NOT NULL,
    price_cents INTEGER NOT NULL,
    genre       TEXT,
    year        INTEGER,
    created_at  INTEGER NOT NULL -- microseconds since 1970, UTC
) STRICT;
CREATE INDEX albums_artist ON albums (artist, id);
CREATE INDEX albums_genre ON albums (genre, id);

-- The next id to assign. Ids that callers chose are skipped.
CREATE TABLE album_ids (next INTEGER NOT NULL) STRICT;
INSERT INTO album_ids (next) VALUES (1);

INSERT INTO albums (id, title, artist, price_cents, genre, year, created_at) VALUES
    (1, 'Blue Train', 'John Coltrane', 5699, 'Jazz', 1958, unixepoch() * 1000000),
    (2, 'Jeru', 'Gerry Mulligan', 1799, 'Jazz', 1962, unixepoch() * 1000000),
    (3, 'Sarah Vaughan and Clifford Brown', 'Sarah Vaughan', 3999, 'Jazz', 1955, unixepoch() * 1000000);

-- +goose Down
DROP TABLE album_ids;
DROP TABLE albums;
