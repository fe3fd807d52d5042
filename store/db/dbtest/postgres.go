// Package dbtest starts a PostgreSQL server for tests: Debian's or whichever is
// installed, with a data folder and a port of its own.
package dbtest

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"soundcheck/internal/cli/clitest"
)

// Postgres is a server that runs until the tests end.
type Postgres struct {
	dir     string
	addr    string
	release func() // gives the port back
	cmd     *exec.Cmd
	ended   chan struct{} // cmd has
	output  bytes.Buffer
	mu      sync.Mutex
	n       int
}

// Programs returns the folder of PostgreSQL's server programs, or an error with the way to install
// them.
func Programs() (string, error) {
	candidates, _ := filepath.Glob("/usr/lib/postgresql/*/bin/postgres") // Debian's are not in PATH
	more, _ := filepath.Glob("/opt/homebrew/opt/postgresql*/bin/postgres")
	candidates = append(candidates, more...)
	if path, err := exec.LookPath("postgres"); err == nil {
		candidates = append(candidates, path)
	}
	if len(candidates) == 0 {
		return "", errors.New("no PostgreSQL server is installed: apt-get install postgresql, or brew install postgresql")
	}
	return filepath.Dir(candidates[len(candidates)-1]), nil
}

// Start makes a new server. It is for TestMain, which calls Stop at the end.
func Start() (_ *Postgres, err error) {
	bin, err := Programs()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "postgres")
	if err != nil {
		return nil, err
	}
	p := &Postgres{dir: dir, release: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, p.Stop())
		}
	}()
	if p.addr, p.release, err = clitest.Reserve(); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	attr, err := p.unprivileged(dir, data)
	if err != nil {
		return nil, err
	}
	initdb := exec.Command(filepath.Join(bin, "initdb"), "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.SysProcAttr, initdb.Dir = attr, dir
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return p, p.Up()
}

// unprivileged runs the programs as another user than root, which PostgreSQL rejects.
func (p *Postgres) unprivileged(dirs ...string) (*syscall.SysProcAttr, error) {
	if os.Getuid() != 0 {
		return DieWithParent(nil), nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid)
	gid, _ := strconv.Atoi(u.Gid)
	for _, dir := range dirs {
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	return DieWithParent(&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}), nil
}

// Up starts the server, and waits until it responds.
func (p *Postgres) Up() error {
	bin, err := Programs()
	if err != nil {
		return err
	}
	attr, err := p.unprivileged()
	if err != nil {
		return err
	}
	p.cmd = exec.Command(filepath.Join(bin, "postgres"), "-D", filepath.Join(p.dir, "data"), "-p", p.addr[strings.LastIndex(p.addr, ":")+1:],
		"-k", p.dir, "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200")
	p.cmd.SysProcAttr, p.cmd.Dir, p.cmd.Stderr = attr, p.dir, &p.output
	cmd, ended := p.cmd, make(chan struct{})
	if err := cmd.Start(); err != nil {
		p.cmd = nil
		return err
	}
	p.ended = ended
	go func() {
		defer close(ended)
		_ = cmd.Wait() // exit status is expected: Down sends SIGQUIT
	}()
	for deadline := time.After(5 * time.Minute); ; {
		err := p.exec("SELECT 1")
		if err == nil {
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
			continue
		case <-ended:
		case <-deadline:
		}
		_ = p.Down() // its output is whole then
		return fmt.Errorf("postgres does not respond: %w\n%s", err, p.output.String())
	}
}

// Down ends the server at once, as a crash would, and leaves its data. The open
// connections break.
func (p *Postgres) Down() error {
	if p.cmd == nil {
		return nil
	}
	err := p.cmd.Process.Signal(syscall.SIGQUIT)
	<-p.ended
	p.cmd = nil
	return err
}

// Stop ends the server and deletes its data.
func (p *Postgres) Stop() error {
	defer p.release()
	return errors.Join(p.Down(), os.RemoveAll(p.dir))
}

// URL returns the address of a database.
func (p *Postgres) URL(name string) string {
	return fmt.Sprintf("postgres://postgres@%s/%s?sslmode=disable", p.addr, name)
}

// New returns the address of a new, empty database.
func (p *Postgres) New(t testing.TB) string {
	t.Helper()
	p.mu.Lock()
	p.n++
	name := fmt.Sprint("test", p.n)
	p.mu.Unlock()
	if err := p.exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	return p.URL(name)
}

func (p *Postgres) exec(query string) error {
	db, err := sql.Open("pgx", p.URL("postgres"))
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(query)
	return err
}
