package lite

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	sqlitedriver "modernc.org/sqlite"
)

// cached returns a connection of SQLite, and the one that caches its statements.
func cached(t *testing.T) (*sql.Conn, *preparedConn) {
	t.Helper()
	c, err := sqlitedriver.NewConnector("file:" + filepath.Join(t.TempDir(), "a.db"))
	if err != nil {
		t.Fatal(err)
	}
	db := sql.OpenDB(connector{c})
	t.Cleanup(func() { db.Close() })
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var p *preparedConn
	if err := conn.Raw(func(raw any) error { p = raw.(*preparedConn); return nil }); err != nil {
		t.Fatal(err)
	}
	return conn, p
}

func numbers(t *testing.T, c *sql.Conn, each func(int), query string, args ...any) string {
	t.Helper()
	rows, err := c.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all []int
	for rows.Next() {
		var n int
		if err := rows.Scan(&n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
		if each != nil {
			each(n)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(all)
}

// A statement is prepared once for a connection. While its rows are read, the same text is another
// statement. A changed schema, an error and a left context do no harm.
func TestStatements(t *testing.T) {
	t.Parallel()
	c, p := cached(t)
	exec := func(query string, args ...any) error {
		_, err := c.ExecContext(t.Context(), query, args...)
		return err
	}
	for _, query := range []string{"CREATE TABLE a (n INTEGER UNIQUE); INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)", "INSERT INTO a VALUES (3)"} {
		if err := exec(query); err != nil {
			t.Fatal(err)
		}
	}
	const query = "SELECT n FROM a WHERE n >= ? ORDER BY n"
	for range 3 {
		got := numbers(t, c, func(n int) {
			if got, want := numbers(t, c, nil, query, n), fmt.Sprint([]int{1, 2, 3}[n-1:]); got != want {
				t.Errorf("from %d: %s, want %s", n, got, want)
			}
		}, query, 1)
		if got != "[1 2 3]" {
			t.Errorf("%s, want [1 2 3]", got)
		}
	}
	if got := numbers(t, c, nil, query, 3); got != "[3]" {
		t.Errorf("with another parameter: %s, want [3]", got)
	}
	statement := p.cache[query]
	if statement == nil || statement.busy {
		t.Fatalf("cached: %+v", statement)
	}
	for _, change := range []string{"CREATE INDEX b ON a (n)", "ALTER TABLE a ADD COLUMN other TEXT"} {
		if err := exec(change); err != nil {
			t.Fatal(err)
		}
		if got := numbers(t, c, nil, query, 2); got != "[2 3]" || p.cache[query] != statement {
			t.Errorf("after %s: %s, want [2 3]; the same statement: %t", change, got, p.cache[query] == statement)
		}
	}
	for range 2 {
		if err := exec("INSERT INTO a (n) VALUES (?)", 3); err == nil || !strings.Contains(err.Error(), "UNIQUE") {
			t.Errorf("a duplicate: %v", err)
		}
	}
	if err := exec("INSERT INTO a (n) VALUES (?)", 4); err != nil {
		t.Errorf("after an error: %v", err)
	}
	if err := exec("SELEC"); err == nil || p.cache["SELEC"] != nil {
		t.Errorf("no statement: %v, cached: %v", err, p.cache["SELEC"])
	}
	ctx, cancel := context.WithCancel(t.Context())
	rows, err := c.QueryContext(ctx, query, 1)
	if err != nil || !rows.Next() {
		t.Fatal(err)
	}
	cancel()
	for rows.Next() {
	}
	rows.Close()
	if got := numbers(t, c, nil, query, 1); got != "[1 2 3 4]" || p.cache[query].busy {
		t.Errorf("after a left context: %s, want [1 2 3 4]; busy: %t", got, p.cache[query].busy)
	}
	for i := range 3 * maxCached {
		if got := numbers(t, c, nil, fmt.Sprint("SELECT ", i)); got != fmt.Sprint([]int{i}) || len(p.cache) > maxCached {
			t.Fatalf("statement %d: %s, %d are cached", i, got, len(p.cache))
		}
	}
	long := "SELECT 1 --" + strings.Repeat("-", maxText)
	if got := numbers(t, c, nil, long); got != "[1]" || p.cache[long] != nil {
		t.Errorf("a long statement: %s, cached: %v", got, p.cache[long])
	}
}

// The options of the connection that writes have an effect: SQLite ignores unknown ones.
func TestWriterOptions(t *testing.T) {
	t.Parallel()
	db, err := Open("", "file:"+filepath.Join(t.TempDir(), "a.db")+Options(time.Second)+Writer)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for pragma, want := range map[string]string{"temp_store": "2", "cache_size": "-16384", "journal_mode": "wal", "synchronous": "2", "busy_timeout": "1000", "journal_size_limit": "67108864"} {
		var got string
		if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %q, want %q (%v)", pragma, got, want, err)
		}
	}
}
