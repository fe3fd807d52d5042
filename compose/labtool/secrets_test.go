package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// mine are the secrets, given to whoever runs the test.
func mine() []secret {
	var list []secret
	for _, s := range databaseSecrets {
		s.uid, s.gid = os.Getuid(), os.Getgid()
		list = append(list, s)
	}
	return list
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(dir, "database", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	if made, err := makeSecrets(dir, mine()); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	password := read("postgres-password")
	if len(password) < 20 || strings.ContainsAny(password, " \n:\\") {
		t.Errorf("the password %q is short, or cannot stand in pgpass", password)
	}
	if got, want := read("pgpass"), "*:*:albums:albums:"+password+"\n"; got != want {
		t.Errorf("pgpass %q, want %q", got, want)
	}
	for name, mode := range map[string]os.FileMode{"": 0o755 | os.ModeDir, "postgres-password": 0o400, "pgpass": 0o400} {
		if info, err := os.Stat(filepath.Join(dir, "database", name)); err != nil || info.Mode() != mode {
			t.Errorf("%q has mode %v, want %v: %v", name, info.Mode(), mode, err)
		}
	}
	if made, err := makeSecrets(dir, mine()); err != nil || made || read("postgres-password") != password {
		t.Errorf("the second time: made %v, %v", made, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("something was left behind: %v, %v", entries, err)
	}
	if err := os.Remove(filepath.Join(dir, "database", "pgpass")); err != nil {
		t.Fatal(err)
	}
	if _, err := makeSecrets(dir, mine()); err == nil || !strings.Contains(err.Error(), "down --volumes") {
		t.Errorf("half of the secrets: %v", err)
	}
}

// Many at once make one password.
func TestSecretsConcurrent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const n = 8
	results := make(chan bool, n)
	for range n {
		go func() {
			made, err := makeSecrets(dir, mine())
			if err != nil {
				t.Error(err)
			}
			results <- made
		}()
	}
	made := 0
	for range n {
		if <-results {
			made++
		}
	}
	entries, err := os.ReadDir(dir)
	if made != 1 || err != nil || len(entries) != 1 {
		t.Errorf("%d were made, there are %v, %v; want one", made, entries, err)
	}
}

// Secrets are written atomically.
func TestSecretsAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	list := mine()
	list[1].name = "no/such/folder"
	if _, err := makeSecrets(dir, list); err == nil {
		t.Error("what could not be written was no error")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("something was left behind: %v, %v", entries, err)
	}
}

func TestPrepareSecrets(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root gives files away")
	}
	dir := t.TempDir()
	for _, want := range []string{"password created", "password exists"} {
		if out, stderr, code := call(t, "prepare", t.TempDir(), "secrets="+dir); code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%q, %q, %d; want %q", out, stderr, code, want)
		}
	}
	for _, s := range databaseSecrets {
		if info, err := os.Stat(filepath.Join(dir, "database", s.name)); err != nil || !owned(info, s.uid, s.gid) {
			t.Errorf("%s does not belong to %d:%d: %v", s.name, s.uid, s.gid, err)
		}
	}
	if _, stderr, code := call(t, "prepare", t.TempDir(), "secrets="+dir+"-none"); code != 1 {
		t.Errorf("no folder: %q, %d", stderr, code)
	}
}
