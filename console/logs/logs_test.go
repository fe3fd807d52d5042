package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var begin = time.Date(2026, 5, 4, 10, 0, 0, 0, time.UTC)

// at writes a line as the services do, some seconds after the beginning.
func at(s float64, level, msg, more string) string {
	t := begin.Add(time.Duration(s * float64(time.Second)))
	return fmt.Sprintf(`{"time":%q,"level":%q,"msg":%q,"service.name":"store"%s}`+"\n", t.Format(time.RFC3339Nano), level, msg, more)
}

func write(t testing.TB, folder, name string, lines ...string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(strings.Join(lines, "")); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, folder string, q Query) *Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 100
	}
	p, err := Read(t.Context(), folder, q)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func messages(p *Page) (list []string) {
	for _, l := range p.Lines {
		list = append(list, l.Message)
	}
	return list
}

func expect(t *testing.T, what string, p *Page, want ...string) {
	t.Helper()
	if got := messages(p); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

const trace = "0af7651916cd43dd8448eb211c80319c"

func lab(t *testing.T) string {
	dir := t.TempDir()
	write(t, dir, "store.log.1", at(1, "INFO", "first", ""), at(2, "DEBUG", "second", ""))
	write(t, dir, "store.log", at(3, "WARN", `say "hi" <b>`, `,"trace_id":"`+trace+`","span_id":"aa","n":7,"o":{"x":[1]}`),
		at(5, "ERROR+2", "Überlast", ""))
	write(t, dir, "otel.log", "hello\n",
		`{"level":"info","ts":"2026-05-04T10:00:04.000Z","caller":"a.go:1","msg":"zap"}`+"\n", "panic: oh\n", "goroutine 1 [running]:\n",
		`{"level":"warn","ts":1777888806.5,"msg":"epoch"}`+"\n", `{"msg":"being written`)
	write(t, dir, "build-store.log", "soundcheck/store\n")
	write(t, dir, "otlp.jsonl", "{}\n")
	return dir
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := lab(t)
	p := read(t, dir, Query{Since: begin.Add(time.Second)})
	// The two texts follow the line before which they stand.
	expect(t, "all since", p, "epoch", "goroutine 1 [running]:", "panic: oh", "Überlast", "zap", "hello", `say "hi" <b>`, "second", "first")
	if !slices.Equal(p.Services, []string{"otel", "store"}) || p.More || !p.Reached.IsZero() {
		t.Errorf("services %q, more %v, reached %v", p.Services, p.More, p.Reached)
	}
	for _, tt := range []struct {
		what string
		q    Query
		want []string
	}{
		{"a service", Query{Services: []string{"store"}}, []string{"Überlast", `say "hi" <b>`, "second", "first"}},
		{"no such service", Query{Services: []string{"../store"}}, nil},
		{"warnings", Query{Services: []string{"store"}, Level: "warn"}, []string{"Überlast", `say "hi" <b>`}},
		{"errors: a panic is one", Query{Level: "error"}, []string{"panic: oh", "Überlast"}},
		{"info", Query{Services: []string{"store"}, Level: "info"}, []string{"Überlast", `say "hi" <b>`, "first"}},
		{"text with quotes", Query{Text: `SAY "hi"`}, []string{`say "hi" <b>`}},
		{"text that is not ASCII", Query{Text: "überlast"}, []string{"Überlast"}},
		{"text of an attribute", Query{Text: `"n":7`}, []string{`say "hi" <b>`}},
		{"trace", Query{Trace: trace}, []string{`say "hi" <b>`}},
		{"trace and another text", Query{Trace: trace, Text: "zap"}, nil},
		{"until", Query{Services: []string{"store"}, Until: begin.Add(2 * time.Second)}, []string{"second", "first"}},
		{"between", Query{Since: begin.Add(2500 * time.Millisecond), Until: begin.Add(4 * time.Second)}, []string{"zap", "hello", `say "hi" <b>`}},
	} {
		expect(t, tt.what, read(t, dir, tt.q), tt.want...)
	}
	l := read(t, dir, Query{Trace: trace}).Lines[0]
	if l.Service != "store" || l.Level != "warn" || l.TraceID != trace || l.SpanID != "aa" || !l.Time.Equal(begin.Add(3*time.Second)) || l.Text ||
		len(l.Fields) != 2 || l.Fields[0].Name != "n" || string(l.Fields[1].Value) != `{"x":[1]}` {
		t.Errorf("%+v", l)
	}
	p = read(t, dir, Query{Services: []string{"otel"}, Text: "hello"})
	if len(p.Lines) != 1 || !p.Lines[0].Text || p.Lines[0].Level != "" {
		t.Errorf("a text: %+v", p.Lines)
	}
	expect(t, "no folder", read(t, filepath.Join(dir, "none"), Query{}))
	for _, q := range []Query{{After: "!"}, {Before: "bm8"}, {After: "bnVsbA"}} {
		if _, err := Read(t.Context(), dir, q); !errors.Is(err, ErrCursor) {
			t.Errorf("%+v: %v, want %v", q, err, ErrCursor)
		}
	}
}

// Times in forms that only the whole line shows: a file is not skipped because it was written later.
func TestUntilWithZones(t *testing.T) {
	t.Parallel()
	for _, line := range []string{`"ts":"2026-05-04T12:%02d:00.000+0200"`, `"ts":%d`} {
		dir, lines := t.TempDir(), []string(nil)
		for minute := range 3 {
			value := any(minute)
			if strings.HasSuffix(line, "%d") {
				value = begin.Add(time.Duration(minute) * time.Minute).Unix()
			}
			lines = append(lines, fmt.Sprintf(`{"level":"info",`+line+`,"msg":"minute %d"}`+"\n", value, minute))
		}
		write(t, dir, "jaeger.log", lines...)
		expect(t, line, read(t, dir, Query{Until: begin.Add(90 * time.Second)}), "minute 1", "minute 0")
	}
}

// Page by page everything comes once, whatever is in which log.
func TestPages(t *testing.T) {
	t.Parallel()
	dir := lab(t)
	want := messages(read(t, dir, Query{}))
	for limit := 1; limit <= len(want)+1; limit++ {
		var got []string
		before := ""
		for range len(want) + 2 {
			p := read(t, dir, Query{Limit: limit, Before: before})
			got, before = append(got, messages(p)...), p.Oldest
			if !p.More {
				break
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%d at a time: %q, want %q", limit, got, want)
		}
	}
}

// The next search returns newer lines, each once, even if the log is rotated meanwhile by
// copy and truncate.
func TestFollow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	log := filepath.Join(dir, "store.log")
	p := read(t, dir, Query{})
	write(t, dir, "store.log", at(1, "INFO", "one", ""))
	p = read(t, dir, Query{After: p.Newest})
	expect(t, "a log that is new", p, "one")
	p = read(t, dir, Query{After: p.Newest})
	expect(t, "nothing new", p)
	write(t, dir, "store.log", at(2, "INFO", "two", ""), at(3, "INFO", "three", ""), `{"msg":"ha`)
	p = read(t, dir, Query{After: p.Newest})
	expect(t, "two", p, "three", "two")
	oldest := read(t, dir, Query{Limit: 1}).Oldest
	write(t, dir, "store.log", "lf\"}\n", at(4, "INFO", "four", ""))
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, "store.log.1", string(b))
	if err := os.Truncate(log, 0); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "store.log", at(5, "INFO", strings.Repeat("five", 400), ""), at(6, "INFO", "six", ""))
	p = read(t, dir, Query{After: p.Newest})
	expect(t, "after it was moved", p, "six", strings.Repeat("five", 400), "four", "half")
	expect(t, "what was before a place that moved", read(t, dir, Query{Before: oldest}), "two", "one")
	expect(t, "not more than asked for", read(t, dir, Query{After: oldest, Limit: 2}), "six", strings.Repeat("five", 400))
	// Moved twice: the place is gone, and all that is there is new.
	for _, name := range []string{"store.log", "store.log.1"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write(t, dir, "store.log", at(7, "INFO", "seven", ""))
	expect(t, "gone", read(t, dir, Query{After: p.Newest}), "seven")
	expect(t, "gone, before", read(t, dir, Query{Before: oldest}))
}

// Lines longer than a chunk are read up to maxLine, and truncated for display.
func TestLong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	long, longer := strings.Repeat("x", 2*chunk+7), strings.Repeat("y", 3*maxLine)
	write(t, dir, "store.log", at(1, "INFO", "one", ""), at(2, "INFO", long, ""), at(3, "INFO", longer, ""), strings.Repeat("\n", 9), at(4, "INFO", "four", ""))
	p := read(t, dir, Query{})
	if len(p.Lines) != 4 {
		t.Fatalf("%d lines, want 4", len(p.Lines))
	}
	if p.Lines[2].Message != clip(long) || p.Lines[2].Text {
		t.Errorf("a long line has %d characters, want %d", len(p.Lines[2].Message), len(clip(long)))
	}
	if cut := p.Lines[1]; !cut.Text || len(cut.Message) != maxText || !cut.Time.Equal(begin.Add(3*time.Second)) {
		t.Errorf("a line that is too long: %d characters at %v", len(cut.Message), cut.Time)
	}
	// Chunks may end anywhere.
	var b bytes.Buffer
	for i := range 3000 {
		b.WriteString(at(float64(i), "INFO", fmt.Sprintf("%d %s", i, strings.Repeat("z", i%701)), ""))
	}
	write(t, dir, "many.log", b.String())
	p = read(t, dir, Query{Services: []string{"many"}, Limit: 5000})
	if len(p.Lines) != 3000 {
		t.Fatalf("%d lines, want 3000", len(p.Lines))
	}
	for i, l := range p.Lines {
		if want := 2999 - i; !strings.HasPrefix(l.Message, fmt.Sprintf("%d ", want)) || len(l.Message) != len(fmt.Sprint(want))+1+want%701 {
			t.Fatalf("line %d is %q", i, l.Message)
		}
	}
}

// A search that times out returns its position, from which another can continue.
func TestTime(t *testing.T) {
	t.Parallel()
	dir := lab(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p, err := Read(ctx, dir, Query{Limit: 100})
	if err != nil || len(p.Lines) != 0 || !p.More {
		t.Fatalf("%+v, %v: want nothing yet, and more", p, err)
	}
	if got := read(t, dir, Query{Before: p.Oldest}); len(got.Lines) != 9 {
		t.Errorf("taken up: %q", messages(got))
	}
}

// However large a log is, what was written last is there at once.
func TestLarge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lines := strings.Repeat(at(1, "INFO", "filler", `,"url.path":"/albums/12345","http.response.status_code":200`), 7000)
	for range 64 {
		write(t, dir, "store.log", lines)
	}
	write(t, dir, "store.log", at(2, "INFO", "last", ""))
	l, err := open("store", maxLine, filepath.Join(dir, "store.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	s := newScan(Query{Limit: 200}, "store")
	if err := s.read(t.Context(), l, nil, nil); err != nil || len(s.hits) != 200 {
		t.Fatalf("%d lines, %v", len(s.hits), err)
	}
	if l.parts[0].size < 60<<20 || s.begin.Offset < l.parts[0].size-2*chunk {
		t.Errorf("of %d bytes all from %d were read", l.parts[0].size, s.begin.Offset)
	}
	begun := time.Now()
	expect(t, "not there", read(t, dir, Query{Text: "needle"}))
	t.Logf("looked through %d MB in %s", l.parts[0].size>>20, time.Since(begun))
}
