package layout

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

type word struct {
	phrase *regexp.Regexp
	term   string
}

// words are phrases that a reader would have to translate, and the field's own term for
// each.
var words = []word{
	{regexp.MustCompile(`(?i)\bsent late\b`), "send delay"},
	{regexp.MustCompile(`(?i)\b(asked|reached), [\d.%s]+/s|/s (asked|reached)\b`), "target rate, actual rate"},
	{regexp.MustCompile(`(?i)\bin flight: %?\w+ at most`), "peak in-flight"},
	{regexp.MustCompile(`(?i)\bspectrum\b|\bshare up to here\b`), "latency histogram, cumulative"},
	{regexp.MustCompile(`(?i)\bwhy (are )?the slowest\b.*\bslow\b`), "tail-latency attribution"},
	{regexp.MustCompile(`(?i)\b(gives?|gave|given|giving) up\b`), "times out, stops"},
	{regexp.MustCompile(`(?i)\b(left|leaves?|leaving) (\w+ )*alone\b|\bleft-alone\b`), "circuit breaker open, does not touch"},
	{regexp.MustCompile(`(?i)\bretries[- ]spent\b`), "retry budget exhausted"},
	{regexp.MustCompile(`(?i)\b(have|wait for|waits for) a place\b`), "slot, queue"},
	{regexp.MustCompile(`(?i)\bcomes? again\b`), "retry after"},
	{regexp.MustCompile(`(?i)\bbr(eak|oken|eaks) on purpose\b`), "inject faults"},
	{regexp.MustCompile(`(?i)\b(is|are|was|were) away\b`), "unavailable, down"},
	{regexp.MustCompile(`(?i)\bstatements' ends\b`), "commits and rollbacks"},
	{regexp.MustCompile(`(?i)\bnumber that .* follow from\b`), "random seed"},
	{regexp.MustCompile(`(?i)\bheld up\b`), "delayed, blocked"},
	{regexp.MustCompile(`(?i)\bknown under\b`), "reachable as"},
	{regexp.MustCompile(`(?i)\bwho(ever)? comes then\b`), "subsequent requests"},
	{regexp.MustCompile(`(?i)\bobjectives? (is|are|was|were) (not )?(met|missed)\b|\bSLOs? (is|are|was|were) (not met|missed)\b`), "SLO met, SLO violated"},
	{regexp.MustCompile(`(?i)\bmachine is too busy\b`), "CPU saturation"},
	{regexp.MustCompile(`(?i)\bas independent users come\b`), "Poisson arrivals"},
	{regexp.MustCompile(`(?i)\bof a file, all of it\b`), "default: the whole file"},
	{regexp.MustCompile(`(?i)\bmade-up\b`), "fake, generated"},
}

// readable returns what a person reads of a file, by its line: the string literals of a
// program, the texts of a dashboard or a rule, or a whole page.
func readable(t *testing.T, name string, text []byte) map[int]string {
	t.Helper()
	lines := map[int]string{}
	switch {
	case strings.HasSuffix(name, ".go"):
		files := token.NewFileSet()
		f, err := parser.ParseFile(files, name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec:
				return false
			case *ast.BasicLit:
				if s, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING {
					lines[files.Position(n.Pos()).Line] += s
				}
			}
			return true
		})
	case strings.HasSuffix(name, ".json"):
		var board any
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var walk func(key string, v any)
		walk = func(key string, v any) {
			switch v := v.(type) {
			case map[string]any:
				for k, e := range v {
					walk(k, e)
				}
			case []any:
				for _, e := range v {
					walk(key, e)
				}
			case string:
				if slices.Contains([]string{"title", "description", "legendFormat", "content", "label"}, key) {
					i := bytes.Index(text, []byte(v[:min(len(v), 20)]))
					lines[1+bytes.Count(text[:max(i, 0)], []byte("\n"))] += v
				}
			}
		}
		walk("", board)
	default:
		for i, line := range strings.Split(string(text), "\n") {
			lines[i+1] = line
		}
	}
	return lines
}

// Texts use the field's terms.
func TestWords(t *testing.T) {
	t.Parallel()
	files := 0
	sources(t, func(name string, text []byte) {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "findings/") ||
			strings.HasSuffix(name, ".json") && !strings.HasPrefix(name, "dashboards/") || strings.Contains(name, "/testdata/") {
			return
		}
		files++
		for line, s := range readable(t, name, text) {
			if strings.HasPrefix(s, "| problem types `") { // old names, in the table of renamed ones
				continue
			}
			for _, w := range words {
				if found := w.phrase.FindString(s); found != "" {
					t.Errorf("%s:%d: %q: write %s", name, line, found, w.term)
				}
			}
		}
	}, ".go", ".md", ".js", ".html", ".json", ".yml", ".yaml", ".sh")
	if files < 200 {
		t.Errorf("only %d files were read", files)
	}
}

// A phrase is found in what a person reads, which comments in code are not.
func TestWordsAreFound(t *testing.T) {
	t.Parallel()
	text := []byte("package p\n\n// a store that is away\nvar s = \"the store is away\"\n")
	lines := readable(t, "p.go", text)
	if len(lines) != 1 || !slices.ContainsFunc(words, func(w word) bool { return w.phrase.MatchString(lines[4]) }) {
		t.Errorf("%v, want the phrase in line 4 alone", lines)
	}
}
