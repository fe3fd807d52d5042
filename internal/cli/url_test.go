package cli

import "testing"

func TestWithoutPassword(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"memory":                                "memory",
		"sqlite:/a@b/albums.db":                 "sqlite:/a@b/albums.db",
		"postgres://h/d":                        "postgres://h/d",
		"postgres://me@h/d":                     "postgres://me@h/d",
		"postgres://me:secret@h:1/d":            "postgres://me@h:1/d",
		"postgres://me:a@secret@h/d":            "postgres://me@h/d",
		"postgres://me:secret@h/d?x=a@b":        "postgres://me@h/d",
		"postgres://h/d?user=a&password=secret": "postgres://h/d",
	} {
		if got := WithoutPassword(url); got != want {
			t.Errorf("WithoutPassword(%q) = %q, want %q", url, got, want)
		}
	}
}
