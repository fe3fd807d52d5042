package cli

import (
	"fmt"
	"testing"
)

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
		"postgres://h/d?user=a@b":               "postgres://h/d",
		"postgres://me:sec?ret@h/d?x=1":         "postgres://me@h/d",
		"postgres://h:1?password=secret":        "postgres://h:1",
	} {
		if got := WithoutPassword(url); got != want {
			t.Errorf("WithoutPassword(%q) = %q, want %q", url, got, want)
		}
	}
}

func TestParseURLs(t *testing.T) {
	t.Parallel()
	if got, err := ParseURLs("http://a:1/,https://b/x/"); err != nil || fmt.Sprint(got) != "[http://a:1 https://b/x]" {
		t.Errorf("%v, %v", got, err)
	}
	for in, want := range map[string]string{
		"":                      `"" is not an http:// or https:// URL with a host`,
		"127.0.0.1:8080":        `"127.0.0.1:8080" is not an http:// or https:// URL with a host`,
		"http://a,":             `"" is not an http:// or https:// URL with a host`,
		"http://a,http://a/":    `"http://a/" is a duplicate`,
		"http://a?x=1":          `"http://a?x=1" must not have a query, a fragment or a user`,
		"http://me:secret@host": `"http://me:secret@host" must not have a query, a fragment or a user`,
	} {
		if _, err := ParseURLs(in); err == nil || err.Error() != want {
			t.Errorf("ParseURLs(%q) = %v, want %s", in, err, want)
		}
	}
	if got, err := ParseURL("http://a:1/"); err != nil || got != "http://a:1" {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := ParseURL("http://a,http://b"); err == nil || err.Error() != `"http://a,http://b" is more than one URL` {
		t.Errorf("ParseURL of two = %v", err)
	}
}
