package db

import (
	"testing"

	"github.com/XSAM/otelsql"
)

func TestSpanName(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		"SELECT id FROM albums WHERE id = $1":                                    "SELECT albums",
		"INSERT INTO albums (id) VALUES ($1)":                                    "INSERT albums",
		"update album_ids SET next = 1":                                          "UPDATE album_ids",
		"-- name: JobGet :one\n-- a second line\nSELECT a FROM river_job\nWHERE": "SELECT river_job",
		"PRAGMA optimize":                                                        "PRAGMA",
		"-- nothing else":                                                        "sql.conn.exec",
	} {
		if got := spanName(t.Context(), otelsql.MethodConnExec, query); got != want {
			t.Errorf("spanName(%q) = %q, want %q", query, got, want)
		}
	}
}
