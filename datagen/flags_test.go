package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/datagen.md lists each flag, with its default.
func TestFlagsAreDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../docs/datagen.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `-([a-z-]+)` \\| (.+?) \\|").FindAllStringSubmatch(string(doc), -1) {
		documented[m[1]] = strings.Trim(m[2], "`")
	}
	help, _, _ := datagen(t.Context(), "-h")
	flags := regexp.MustCompile(`(?m)^  -([a-z-]+).*\n    \t(.*)$`).FindAllStringSubmatch(help, -1)
	if len(flags) < 15 || len(flags) != len(documented) {
		t.Errorf("%d flags, %d are documented", len(flags), len(documented))
	}
	for _, f := range flags {
		want := ""
		if m := regexp.MustCompile(`\(default "?(.*?)"?\)$`).FindStringSubmatch(f[2]); m != nil {
			want = m[1]
		}
		if got, ok := documented[f[1]]; !ok || got != want && !(want == "" && slices.Contains([]string{"none", "0", "false"}, got)) {
			t.Errorf("-%s is documented with default %q (%v), want %q", f[1], got, ok, want)
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-n", "0"}, "-n 0 is out of range: 1 to 10000000"},
		{[]string{"-n", "10000001"}, "-n 10000001 is out of range: 1 to 10000000"},
		{[]string{"-n", "x"}, `-n: "x" is not a whole number such as 10`},
		{[]string{"-seed", "-1"}, `-seed: "-1" is not a whole number, 0 or more`},
		{[]string{"-concurrency", "0"}, "-concurrency 0 is out of range: 1 to 1024"},
		{[]string{"-concurrency", "1025"}, "-concurrency 1025 is out of range: 1 to 1024"},
		{[]string{"-timeout", "999us"}, "-timeout 999µs is out of range: 1ms to 10m"},
		{[]string{"-timeout", "11m"}, "-timeout 11m0s is out of range: 1ms to 10m"},
		{[]string{"-batch", "0"}, "-batch 0 is out of range: 1 to 10000"},
		{[]string{"-batch", "10001"}, "-batch 10001 is out of range: 1 to 10000"},
		{[]string{"-rate", "-1"}, "-rate -1 is out of range: 0 to 1000000"},
		{[]string{"-rate", "NaN"}, "-rate NaN is out of range: 0 to 1000000"},
		{[]string{"-patience", "-1s"}, "-patience -1s is out of range: 0s to 1h"},
		{[]string{"-patience", "61m"}, "-patience 1h1m0s is out of range: 0s to 1h"},
		{[]string{"-invalid", "2"}, "-invalid 2 is out of range: 0 to 1"},
		{[]string{"-format", "xml"}, `-format "xml" is not text or json`},
		{[]string{"-i", "a.sql"}, "-i: cannot read a .sql file: it is for a database"},
		{[]string{"-i", "a.txt"}, "-i: unknown extension of a.txt: .ndjson, .json, .csv or .sql, with or without .gz"},
		{[]string{"-i", "a.csv", "-seed", "2"}, "-seed has no effect: -i sends the albums of a file"},
		{[]string{"-i", "a.csv", "-o", "b.csv"}, "-i has no effect: -o writes a file and calls no service"},
		{[]string{"-o", "b.csv", "-verify"}, "-verify has no effect: -o writes a file and calls no service"},
		{[]string{"-skip-bad"}, "-skip-bad has no effect: -i is not set"},
		{[]string{"-sql", "sqlite"}, "-sql has no effect: -o is not set"},
		{[]string{"-url", "127.0.0.1:9070"}, `-url: `},
		{[]string{"-url", "ftp://127.0.0.1"}, `-url: "ftp://127.0.0.1" is not an http:// or https:// URL with a host`},
		{[]string{"-url", "http://127.0.0.1/?a=b"}, `-url: "http://127.0.0.1/?a=b" must not have a query, a fragment or a user`},
		{[]string{"1000"}, `unexpected argument "1000"`},
		{[]string{"-count", "1"}, "flag provided but not defined: -count"},
	} {
		stdout, stderr, code := datagen(t.Context(), tt.args...)
		if code != 2 || stdout != "" || !strings.HasPrefix(stderr, "datagen: "+tt.want) || !strings.HasSuffix(stderr, "\nrun \"datagen -h\" for help\n") {
			t.Errorf("datagen %q: exit code %d, stdout %q, stderr %q, want 2, none, %q and the usage", tt.args, code, stdout, stderr, tt.want)
		}
	}
}
