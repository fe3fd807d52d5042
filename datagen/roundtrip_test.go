package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"soundcheck/internal/album"
)

// An export of one service can be imported into another, with the same ids. Existing albums,
// such as the initial ones of every store, are not created again.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	from := newTarget(t, album.NewMemory(album.Seed()...))
	if stdout, stderr, code := datagen(t.Context(), "-n", "300", "-batch", "50", "-unicode", "0.5", "-url", from.URL); code != 0 {
		t.Fatal(stdout, stderr)
	}
	want := contents(t, from.store)
	if len(want) != 303 {
		t.Fatalf("%d albums, want 303", len(want))
	}
	dir := t.TempDir()
	save := func(name, accept, query string) string {
		req, err := http.NewRequestWithContext(t.Context(), "GET", from.URL+"/albums"+query, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", accept)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		name = filepath.Join(dir, name)
		if err != nil || !strings.Contains(string(b), `"created_at"`) || os.WriteFile(name, b, 0o600) != nil {
			t.Fatalf("%s: %v: %.200q", name, err, b)
		}
		return name
	}
	files := map[string]string{
		"stream": save("all.ndjson", "application/x-ndjson", ""),
		"array":  save("all.json", "application/json", "?limit=1000"),
	}
	var rows strings.Builder
	rows.WriteString("id,title,artist,price,genre,year,created_at\n")
	for _, a := range want { // as a tool makes a table of it
		year := ""
		if a.Year != 0 {
			year = fmt.Sprint(a.Year)
		}
		quoted := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
		fmt.Fprintf(&rows, "%d,%s,%s,%s,%s,%s,2026-01-01T00:00:00Z\n", a.ID, quoted(a.Title), quoted(a.Artist), a.Price, quoted(a.Genre), year)
	}
	files["table"] = filepath.Join(dir, "all.csv")
	if err := os.WriteFile(files["table"], []byte(rows.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, file := range files {
		for _, args := range []string{"", "-batch 100", "-batch 100 -async"} {
			t.Run(name+args, func(t *testing.T) {
				t.Parallel()
				to := newTarget(t, album.NewMemory(album.Seed()...))
				run := func(url, want string) {
					t.Helper()
					stdout, stderr, code := datagen(t.Context(), append(strings.Fields(args), "-verify", "-i", file, "-url", url)...)
					if code != 0 || !strings.Contains(stdout, want) || !strings.Contains(stdout, "each of 303 albums is stored once, unchanged; 0 other albums") {
						t.Errorf("exit code %d\n%s%s, want %q", code, stdout, stderr, want)
					}
				}
				run(to.URL, "created        300 of 303")
				got := contents(t, to.store)
				if len(got) != len(want) {
					t.Fatalf("%d albums, want %d", len(got), len(want))
				}
				for id, a := range want {
					if got[id] != a {
						t.Errorf("album %d is %+v, want %+v", id, got[id], a)
					}
				}
				run(to.URL, "already there  303:")
				run(from.URL, "already there  303:") // where they were read
			})
		}
	}
}

// One id that another album has costs one album, also in a batch; so does one that is in
// the file twice.
func TestTakenID(t *testing.T) {
	t.Parallel()
	const line = `{"id":%d,"title":"%s","artist":"John Coltrane","price":9.99}` + "\n"
	in := fmt.Sprintf(line+line+line+line, 10, "Naima", 1, "another one", 11, "Giant Steps", 11, "Giant Steps, the other")
	for _, args := range []string{"-batch 1 -concurrency 1", "-batch 10", "-batch 10 -async"} {
		to := newTarget(t, album.NewMemory(album.Seed()...))
		stdout, stderr, code := datagenFrom(t.Context(), in, append(strings.Fields(args), "-i", "-", "-url", to.URL)...)
		if code != 1 || !strings.Contains(stdout, "created        2 albums") || !strings.Contains(stdout, "failed         2\n  2 × ") || !strings.Contains(stdout, "an album with this id exists") {
			t.Errorf("%s: exit code %d\n%s%s", args, code, stdout, stderr)
		}
		if got := contents(t, to.store); len(got) != 5 || got[1].Title != "Blue Train" || got[11].Title != "Giant Steps" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}

// contents returns the albums of a service by id.
func contents(t *testing.T, s album.Service) map[int64]album.Album {
	t.Helper()
	all := map[int64]album.Album{}
	for a, err := range s.Stream(context.WithoutCancel(t.Context()), album.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		a.CreatedAt = album.Album{}.CreatedAt
		all[a.ID] = a
	}
	return all
}
