package postgres

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"soundcheck/internal/cli/clitest"
	"soundcheck/store/db/dbtest"
)

// Of a password that must be quoted, and of a database whose name must.
const (
	password = `it's "a" \secret`
	database = `my "albums"`
)

// server is a container's worth of processes: a group that is killed as one.
type server struct {
	t      *testing.T
	dir    string
	data   string
	port   uint16
	attr   *syscall.SysProcAttr
	env    []string
	output bytes.Buffer
	cmd    *exec.Cmd
	ended  chan error
}

func newServer(t *testing.T) *server {
	t.Helper()
	bin, err := dbtest.Programs()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "entrypoint") // t.TempDir is for its user alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &server{t: t, dir: dir, data: filepath.Join(dir, "data"), port: netip.MustParseAddrPort(clitest.FreeAddr(t)).Port()}
	s.write("password", password+"\n")
	script, err := os.ReadFile("entrypoint.sh")
	if err != nil {
		t.Fatal(err)
	}
	s.write("entrypoint.sh", string(script))                                           // the user may not look into the repository
	version, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output() // postgres (PostgreSQL) 15.13 (Debian …)
	if err != nil {
		t.Fatal(err)
	}
	major, _, _ := strings.Cut(strings.Fields(string(version))[2], ".")
	s.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "PGDATA="+s.data, "PG_MAJOR="+major,
		"POSTGRES_USER=albums", "POSTGRES_DB="+database, "POSTGRES_PASSWORD_FILE="+filepath.Join(dir, "password"), "POSTGRES_INITDB_ARGS=--data-checksums")
	if err := os.Mkdir(s.data, 0o755); err != nil {
		t.Fatal(err)
	}
	s.attr = &syscall.SysProcAttr{Setpgid: true}
	if os.Getuid() == 0 {
		u, err := user.Lookup("postgres")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(u.Uid)
		gid, _ := strconv.Atoi(u.Gid)
		s.attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		for _, path := range []string{dir, s.data} {
			if err := os.Chown(path, uid, gid); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Cleanup(s.kill)
	return s
}

func (s *server) write(name, content string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) start() {
	s.t.Helper()
	cmd := exec.Command("/bin/sh", filepath.Join(s.dir, "entrypoint.sh"), "-c", "port="+fmt.Sprint(s.port), "-c", "unix_socket_directories="+s.dir)
	s.output.Reset()
	cmd.Env, cmd.Dir, cmd.SysProcAttr, cmd.Stdout, cmd.Stderr = s.env, s.dir, s.attr, &s.output, &s.output
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	s.cmd, s.ended = cmd, ended
}

// kill ends it as the end of a container does, and waits.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	<-s.ended
	s.cmd = nil
}

// stop sends a signal to the first process, as docker does, and returns the result of Wait.
func (s *server) stop(sig syscall.Signal) error {
	s.t.Helper()
	_ = s.cmd.Process.Signal(sig)
	select {
	case err := <-s.ended:
		s.cmd = nil
		return err
	case <-time.After(5 * time.Minute):
		s.t.Fatalf("it goes on after %s", sig)
		return nil
	}
}

// open connects, through the socket, or else with a password.
func (s *server) open(ctx context.Context, host, secret string) (*sql.DB, error) {
	q := func(v string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(v) + "'" }
	db, err := sql.Open("pgx", fmt.Sprintf("host=%s port=%d user=albums dbname=%s password=%s sslmode=disable", host, s.port, q(database), q(secret)))
	if err != nil {
		return nil, err
	}
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, err
	}
	s.t.Cleanup(func() { db.Close() })
	return db, nil
}

func (s *server) await() *sql.DB {
	s.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		db, err := s.open(s.t.Context(), "127.0.0.1", password)
		if err == nil {
			return db
		}
		if time.Now().After(deadline) {
			s.kill()
			s.t.Fatalf("it does not answer: %v\n%s", err, s.output.String())
		}
	}
}

func mustExec(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func TestFirstAndSecondStart(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	db := s.await()
	for setting, want := range map[string]string{"fsync": "on", "jit": "off", "data_checksums": "on", "password_encryption": "scram-sha-256", "timezone": "UTC"} {
		var got string
		if err := db.QueryRowContext(t.Context(), "SHOW "+setting).Scan(&got); err != nil || got != want {
			t.Errorf("%s = %q, want %q: %v", setting, got, want, err)
		}
	}
	mustExec(t, db, "CREATE TABLE kept (id int)")
	mustExec(t, db, "INSERT INTO kept VALUES (1)")
	if _, err := s.open(t.Context(), "127.0.0.1", "another"); err == nil {
		t.Error("another password was taken")
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		// A session that is in the middle of something does not hold the end up.
		busy := make(chan error, 1)
		go func() { _, err := db.Exec("SELECT pg_sleep(600)"); busy <- err }()
		for n := 0; n == 0; {
			if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(600)'").Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.stop(sig); err != nil {
			t.Errorf("after %s: %v\n%s", sig, err, s.output.String())
		}
		if err := <-busy; err == nil {
			t.Error("the session went on")
		}
		// Without the password: the cluster has it.
		s.write("password", "")
		s.start()
		db = s.await()
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM kept").Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows are there, want 1: %v", n, err)
		}
	}
}

// If it is killed during initialization, the next start creates a complete cluster.
func TestKilledDuringInit(t *testing.T) {
	t.Parallel()
	for attempt := 1; ; attempt++ {
		hit := killedDuringInit(t)
		t.Logf("killed at %q", hit)
		if len(hit) > 0 {
			return
		}
		if attempt == 5 { // a busy machine may have looked too late
			t.Fatal("the cluster was there before it was killed once")
		}
	}
}

func killedDuringInit(t *testing.T) (hit []string) {
	t.Helper()
	s := newServer(t)
	marks := []string{".initializing", ".initializing/cluster/PG_VERSION", ".initializing/cluster/global/pg_control",
		".initializing/cluster/base/5", "base", "global", "pg_wal"}
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(s.data, name))
		return err == nil
	}
	for _, mark := range marks {
		s.start()
		for deadline := time.Now().Add(5 * time.Minute); !there(mark) && !there("PG_VERSION"); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				s.kill()
				t.Fatalf("%s does not come\n%s", mark, s.output.String())
			}
		}
		s.kill()
		if there("PG_VERSION") {
			break // it was faster; this cluster must be whole as well
		}
		hit = append(hit, mark)
	}
	s.start()
	s.await()
	if _, err := os.Stat(filepath.Join(s.data, ".initializing")); err == nil {
		t.Error("what was begun is still there")
	}
	return hit
}

// PG_VERSION marks a complete cluster, so it must be created last.
func TestVersionComesLast(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	real, err := exec.LookPath("mv")
	if err != nil {
		t.Fatal(err)
	}
	s.write("mv", fmt.Sprintf(`#!/bin/sh
case "$*" in *PG_VERSION*) ls "$PGDATA" | grep -qx pg_wal && [ $(ls "$PGDATA" | wc -l) -gt 15 ] && echo last || echo early ;; esac
exec %s "$@"
`, real))
	if err := os.Chmod(filepath.Join(s.dir, "mv"), 0o755); err != nil {
		t.Fatal(err)
	}
	for i, kv := range s.env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			s.env[i] = "PATH=" + s.dir + ":" + path
		}
	}
	s.start()
	s.await()
	if err := s.stop(syscall.SIGINT); err != nil {
		t.Error(err)
	}
	if out := s.output.String(); !strings.Contains(out, "\nlast\n") || strings.Contains(out, "\nearly\n") {
		t.Errorf("PG_VERSION was not the last to be moved:\n%s", out)
	}
}

func TestRejectedSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		prepare func(s *server)
		want    string
	}{
		{"no password", func(s *server) { s.env = append(s.env, "POSTGRES_PASSWORD_FILE=") }, "a new cluster needs a password: set POSTGRES_PASSWORD_FILE"},
		{"no such file", func(s *server) { s.env = append(s.env, "POSTGRES_PASSWORD_FILE=/nowhere") }, "POSTGRES_PASSWORD_FILE: /nowhere cannot be read by user"},
		{"somebody else's folder", func(s *server) { s.write("data/letter.txt", "dear") }, "is not empty, but holds no cluster"},
		{"another version", func(s *server) { s.write("data/PG_VERSION", "9\n") }, "is of PostgreSQL 9, this is"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t)
			tt.prepare(s)
			s.start()
			err := <-s.ended
			s.cmd = nil
			if err == nil || !strings.HasPrefix(s.output.String(), "entrypoint: ") || !strings.Contains(s.output.String(), tt.want) {
				t.Errorf("%v, %s, want %s", err, s.output.String(), tt.want)
			}
			if tt.name == "somebody else's folder" {
				if _, err := os.Stat(filepath.Join(s.data, "letter.txt")); err != nil {
					t.Errorf("what was in the folder is gone: %v", err)
				}
			}
		})
	}
}
