package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"soundcheck/store/db/dbtest"
)

// CheckSchema sees each state of the schema, and creates nothing.
func TestCheckSchema(t *testing.T) {
	t.Parallel()
	on(t, func(t *testing.T, url string) {
		s := opened(t, Config{URL: url})
		if err := s.CheckSchema(t.Context()); !errors.Is(err, Pending(5)) && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("new: %v, want 5 pending migrations, or no file", err)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if versions, err := s.applied(t.Context()); err != nil || versions != nil {
			t.Errorf("a version table exists, with %v, %v", versions, err)
		}
		migrate := func(commands ...string) {
			t.Helper()
			for _, c := range commands {
				if _, err := s.Migrate(t.Context(), c, discard); err != nil {
					t.Fatal(err)
				}
			}
		}
		migrate("up", "down", "down")
		if err := s.CheckSchema(t.Context()); !errors.Is(err, Pending(2)) {
			t.Errorf("reverted twice: %v, want 2 pending migrations", err)
		}
		migrate("up")
		if err := s.CheckSchema(t.Context()); err != nil {
			t.Errorf("up to date: %v", err)
		}
		if _, err := s.writer.Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, true)"); err != nil {
			t.Fatal(err)
		}
		if err := s.CheckSchema(t.Context()); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "version 99") {
			t.Errorf("newer: %v", err)
		}
	})
}

// Await repeats the check while its error can disappear, and logs each different error once.
func TestAwait(t *testing.T) {
	t.Parallel()
	refused := func(port int) error {
		return fmt.Errorf("read tcp 127.0.0.1:%d->10.0.0.1:5432: %w", port, context.DeadlineExceeded)
	}
	broken := errors.New("no such column")
	for name, tt := range map[string]struct {
		limit  time.Duration
		errs   []error // of one attempt after another; nil ends it
		logged int
		want   string
	}{
		"at once":             {time.Minute, []error{nil}, 0, ""},
		"in the end":          {time.Minute, []error{refused(1), refused(2), Pending(3), nil}, 2, ""},
		"another process":     {time.Minute, []error{fmt.Errorf("stat: %w", fs.ErrNotExist), nil}, 1, ""},
		"one attempt":         {0, []error{refused(1), nil}, 0, refused(1).Error()},
		"too late":            {retryInterval * 3 / 2, []error{refused(1), refused(2)}, 1, "not ready after 750ms: " + refused(2).Error()},
		"permanent":           {time.Minute, []error{broken, nil}, 0, broken.Error()},
		"permanent, later on": {time.Minute, []error{Pending(1), ErrNewer, nil}, 1, ErrNewer.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, logged := 0, 0
			var err error
			synctest.Test(t, func(t *testing.T) { // a busy machine does not use up the limit
				err = Await(t.Context(), tt.limit, func(context.Context) error {
					n++
					return tt.errs[min(n, len(tt.errs))-1]
				}, func(error) { logged++ })
			})
			if got := fmt.Sprint(err); got != tt.want && !(err == nil && tt.want == "") || logged != tt.logged {
				t.Errorf("%v after %d attempts, %d errors logged; want %q, %d logged", err, n, logged, tt.want, tt.logged)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := Await(ctx, time.Hour, func(context.Context) error { return Pending(1) }, func(error) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
}

// What a real server reports is temporary, or is not.
func TestTemporary(t *testing.T) {
	t.Parallel()
	own, err := dbtest.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { own.Stop() })
	admin, err := sql.Open("pgx", own.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	var hba string
	if err := admin.QueryRow("SHOW hba_file").Scan(&hba); err != nil {
		t.Fatal(err)
	}
	for _, q := range []string{
		"CREATE ROLE careful LOGIN PASSWORD 'right'",
		"COPY (SELECT unnest(ARRAY['host all careful all scram-sha-256', 'host all stranger all reject', 'host all all all trust'])) TO '" + hba + "'",
		"SELECT pg_reload_conf()",
	} {
		if _, err := admin.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user, database string) string {
		return strings.Replace(own.URL(database), "postgres@", user+"@", 1)
	}
	ping := func(url string) error { return opened(t, Config{URL: url}).Ping(t.Context()) }
	for deadline := time.Now().Add(5 * time.Minute); ping(as("careful:wrong", "postgres")) == nil; {
		if time.Now().After(deadline) {
			t.Fatal("the server does not read its pg_hba.conf")
		}
	}
	for name, tt := range map[string]struct {
		url  string
		want string
		temp bool
	}{
		"wrong password": {as("careful:wrong", "postgres"), "28P01", false},
		"no access":      {as("stranger", "postgres"), "28000", false},
		"no database":    {as("careful:right", "nope"), "3D000", true},
		"no host":        {"postgres://me@nowhere.invalid/x?sslmode=disable", "nowhere.invalid", true},
		"no certificate": {strings.Replace(as("careful:right", "postgres"), "sslmode=disable", "sslmode=verify-full&sslrootcert=/nonexistent", 1), "/nonexistent", false},
		"bad number":     {as("careful:right", "postgres") + "&connect_timeout=soon", "cannot parse", false},
	} {
		err := ping(tt.url)
		if err == nil || !strings.Contains(err.Error(), tt.want) || temporary(err) != tt.temp {
			t.Errorf("%s: %v is temporary: %t, want %q, %t", name, err, temporary(err), tt.want, tt.temp)
		}
	}
	if err := ping(as("careful:right", "postgres")); err != nil {
		t.Error(err)
	}
	if err := own.Down(); err != nil {
		t.Fatal(err)
	}
	if err := ping(own.URL("postgres")); err == nil || !temporary(err) {
		t.Errorf("down: %v is temporary: %t", err, temporary(err))
	}
}
