package flow

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// files are the other files of a flow.
type files map[string]string

func (f files) open(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, os.ErrNotExist
	}
	return []byte(text), nil
}

const full = `name: checkout
data: users.csv
variables: {limit: 3, big: 9007199254740993}
fake: {email: "{email}"}
think: 10ms..30ms
steps:
  - name: list
    get: /albums?limit={{limit}}
    headers: {X-Customer: "{{customer}}"}
    expect: 200, 304
    extract:
      id: {jsonpath: "$[*].id", select: last}
      ids: {jsonpath: "$[?@.price > 10].id", select: all}
      price: $[0].price
      etag: {header: ETag, regex: '"(.*)"'}
      word: {regex: 'tit..'}
      none: {jsonpath: $.nothing, default: 0}
    check:
      - status == 200 && len(json) == limit
      - header("ETag") != "" && id == 9007199254740993
  - name: order
    post: /orders/{{id}}
    json:
      who: "{{customer}}"
      zip: "{{zip}}"
      album: "{{id}}"
      text: "album {{id}}"
      price: "{{price}}"
      all: "{{ids}}"
      none: "{{none}}"
      mail: "{{email}}"
      nested: [{big: "{{big}}"}, true, null, 1.5]
    think: 0s
  - name: pay
    put: https://pay.example/{{etag}}
    form: {amount: "{{price}}", note: "a & {{word}}"}
    if: price > 10
    repeat: 2
    continue: true
`

var csv = files{"users.csv": "customer,zip\nAnn,00123\n\"B/b\",45\n"}

func must(t *testing.T, text string) *Flow {
	t.Helper()
	f, err := parse("file", []byte(text), csv.open)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// walk lets a user go through a flow, with the same response to each request, and returns the requests.
func walk(t *testing.T, u *User, h http.Header, body string) (list []string) {
	t.Helper()
	for {
		s, failure := u.Next()
		if failure != nil {
			t.Fatal(failure)
		}
		if s == nil {
			return list
		}
		r, err := u.Request(s)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, fmt.Sprintf("%s %s %s %s %s", r.Method, r.URL, r.Header.Get("Content-Type"), r.Header.Get("X-Customer"), r.Body))
		if f := u.Respond(s, Response{Status: 200, Header: h, Body: []byte(body)}); f != nil {
			t.Fatal(f)
		}
	}
}

// What one response has is used in later requests.
func TestUser(t *testing.T) {
	t.Parallel()
	f := must(t, full)
	u := f.NewUser(3, 1)
	got := walk(t, u, http.Header{"Etag": {`W/"v1"`}}, `[{"id":1,"price":12.5,"title":"x"},{"id":2,"price":1},{"id":9007199254740993,"price":11}]`)
	email := u.values["email"].Text
	want := []string{
		"GET /albums?limit=3  B/b ",
		`POST /orders/9007199254740993 application/json  {"who":"B/b","zip":"45","album":9007199254740993,"text":"album 9007199254740993","price":12.5,"all":[1,9007199254740993],"none":0,"mail":"` +
			email + `","nested":[{"big":9007199254740993},true,null,1.5]}`,
		"PUT https://pay.example/v1 application/x-www-form-urlencoded  amount=12.5&note=a+%26+title",
		"PUT https://pay.example/v1 application/x-www-form-urlencoded  amount=12.5&note=a+%26+title",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("requests\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if !strings.Contains(email, "@") || f.NewUser(3, 1).values["email"] != u.values["email"] || f.NewUser(4, 1).values["email"] == u.values["email"] || f.NewUser(3, 2).values["email"] == u.values["email"] {
		t.Errorf("email %q is not that of the user and the seed", email)
	}
	if !u.CarriesOn() || u.Pause() < 10*time.Millisecond || u.Pause() > 30*time.Millisecond {
		t.Errorf("after the last step: %t, %s", u.CarriesOn(), u.Pause())
	}
	if u.Think(Think{time.Second, time.Second}); u.Pause() != time.Second {
		t.Errorf("think time %s, want 1s", u.Pause())
	}
	if s := f.Steps[1]; s.Operation != "POST /orders/{id}" || s.Full() != "" || f.Steps[2].Full() == "" {
		t.Errorf("operation %q", s.Operation)
	}
	// Without a price above 10 the last step is skipped.
	if got := walk(t, f.NewUser(0, 1), http.Header{"Etag": {`"v1"`}}, `[{"id":1,"price":2,"title":"x"},{"id":1,"price":2},{"id":9007199254740993,"price":1}]`); len(got) != 2 {
		t.Errorf("%q, want two requests", got)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	step := func(text string) string { return "steps:\n  - name: s\n    get: /\n    " + text + "\n" }
	for name, tt := range map[string]struct{ text, want string }{
		"empty":                  {"", "1: no steps"},
		"not YAML":               {"steps: [", "1: "},
		"unknown field":          {"steps:\n  - name: s\n    gett: /\n", `3: unknown field "gett"`},
		"field twice":            {"steps:\n  - name: s\n    name: t\n    get: /\n", `3: mapping key "name" already defined`},
		"no name":                {"steps:\n  - get: /\n", `2: step 1: "" is not a name`},
		"bad name":               {"steps:\n  - name: a b\n    get: /\n", `"a b" is not a name`},
		"same name":              {"steps:\n  - {name: s, get: /}\n  - {name: s, get: /}\n", "3: step s: another step has this name"},
		"name of the flow":       {"steps:\n  - {name: file, get: /}\n", "2: step file: the flow has this name too, that of its file: set name"},
		"two documents":          {step("") + "---\n" + step(""), "6: a second YAML document"},
		"octal number":           {"variables: {v: 1}\n" + step("json: {zip: 00123}"), "5: 00123 is an octal number in YAML: quote it"},
		"bad flow name":          {"name: 7up\nsteps:\n  - {name: s, get: /}\n", `1: "7up" is not a name of a flow`},
		"no request":             {"steps:\n  - name: s\n", "2: step s: no request"},
		"two requests":           {"steps:\n  - {name: s, get: /, post: /}\n", "two requests"},
		"method without url":     {"steps:\n  - {name: s, method: PURGE}\n", "method and url go together"},
		"url and get":            {"steps:\n  - {name: s, get: /, method: PURGE, url: /}\n", "two requests"},
		"bad method":             {"steps:\n  - {name: s, method: 'A B', url: /}\n", `"A B"`},
		"bad URL":                {"steps:\n  - {name: s, get: 'ftp://h/'}\n", "2: step s: "},
		"no slash":               {"steps:\n  - {name: s, get: albums/1}\n", `2: step s: "albums/1" is not a path or a full URL: a path begins with /`},
		"blanks":                 {"steps:\n  - {name: s, get: /a b}\n", `2: step s: "/a b" has blanks: use %20`},
		"bad path":               {"steps:\n  - {name: s, get: /%zz}\n", `2: step s: parse "/%zz": invalid URL escape`},
		"bad query":              {"steps:\n  - {name: s, get: '/?q=ü'}\n", `2: step s: "/?q=ü" has a character`},
		"text for a bool":        {step("continue: maybe"), "4: steps[0].continue is not true or false"},
		"text for a number":      {step("repeat: many"), "4: steps[0].repeat is not a whole number"},
		"large number":           {step("repeat: 99999999999999999999"), "4: steps[0].repeat is not in range"},
		"map for a text":         {"think: {min: 1s}\n" + step(""), "1: think is not a text"},
		"block map for a text":   {"think:\n  min: 1s\n" + step(""), "think is not a text"},
		"list for a text":        {"fake: {a: [1]}\n" + step(""), "1: fake.a is not a text"},
		"text for a list":        {step("check: status == 200"), "4: steps[0].check is not a list"},
		"map for a list":         {"steps: {a: 1}\n", "1: steps is not a list"},
		"number for a map":       {"steps:\n  - 3\n", "2: steps[0] is not a map"},
		"list for a file":        {"- a\n", "1: the file is not a map"},
		"unknown variable":       {"steps:\n  - {name: s, get: '/{{id}}'}\n", "2: step s: unknown variable {{id}}: known are user"},
		"variable of later step": {"steps:\n  - {name: s, get: '/{{v}}'}\n  - {name: t, get: /, extract: {v: $.v}}\n", "unknown variable {{v}}"},
		"unknown link":           {"steps:\n  - {name: s, get: '{{v}}'}\n", "2: step s: unknown variable {{v}}: known are user"},
		"placeholder in host":    {"variables: {h: x}\nsteps:\n  - {name: s, get: 'http://{{h}}/'}\n", "step s: "},
		"broken placeholder":     {"steps:\n  - {name: s, post: /, body: '{{a'}\n", "is not a placeholder"},
		"unused variable":        {"variables: {v: 1}\n" + step(""), "1: no step uses variable v"},
		"unused fake":            {"fake: {v: '{email}'}\n" + step(""), "1: no step uses variable v"},
		"reserved variable":      {"variables: {json: 1}\n" + step(""), "1: variable json has a reserved name"},
		"variable of a list":     {"variables: {v: [1]}\n" + step(""), "variable v is not a string"},
		"bad variable":           {"variables: {a-b: 1}\n" + step(""), `"a-b" is not a name of a variable`},
		"column twice":           {"data: users.csv\nvariables: {zip: 1}\n" + step(""), "variable zip is declared twice"},
		"no data file":           {"data: no.csv\n" + step(""), "1: file does not exist"},
		"unknown fake":           {"fake: {v: '{nosuch}'}\n" + step(""), `1: fake v: gofakeit has no function "nosuch"`},
		"fake of nothing":        {"fake: {v: text}\n" + step(""), "has no function of gofakeit"},
		"think":                  {"think: fast\n" + step(""), `1: think "fast" is not a duration`},
		"think backwards":        {step("think: 3s..1s"), `4: step s: think "3s..1s" is not`},
		"think below 0":          {step("think: -1s"), `think "-1s" is not`},
		"check syntax":           {step("check: ['status ==']"), "4: step s: check: status ==: "},
		"check unknown name":     {step("check: ['statu == 1']"), "unknown name statu"},
		"check not a condition":  {step("check: ['1 + 1']"), "4: step s: check: 1 + 1: expected bool"},
		"second check":           {step("check:\n      - status == 1\n      - foo"), "6: step s: check: foo"},
		"if has no response":     {step("if: status == 200"), "4: step s: if: status == 200: unknown name status"},
		"extract of nothing":     {step("extract: {v: {select: last}}"), "no jsonpath, header or regex"},
		"extract bad path":       {step("extract: {v: '$['}"), `4: step s: extract v: "$[" is not a JSONPath`},
		"extract bad regex":      {step("extract: {v: {regex: '('}}"), "missing closing"},
		"extract two groups":     {step("extract: {v: {regex: '(a)(b)'}}"), "has 2 groups, at most 1"},
		"extract unknown field":  {step("extract: {v: {path: $.v}}"), `unknown field "path"`},
		"extract number":         {step("extract: {v: 3}"), "not a JSONPath, or a map"},
		"extract both":           {step("extract: {v: {jsonpath: $.v, header: X}}"), "do not go together"},
		"extract bad select":     {step("extract: {v: {jsonpath: $.v, select: some}}"), `select "some" is not`},
		"extract all of headers": {step("extract: {v: {header: X, select: all}}"), "select all needs jsonpath"},
		"extract bad header":     {step("extract: {v: {header: 'X Y'}}"), `"X Y" is not the name of a header`},
		"extract reserved":       {step("extract: {status: $.v}"), "reserved name"},
		"extract a column":       {"data: users.csv\n" + step("extract: {zip: $.v}"), "declared twice"},
		"expect":                 {step("expect: 200,20O"), `4: step s: expect: "200,20O" are not statuses`},
		"expect a map":           {step("expect: {a: 1}"), "4: step s: expect: "},
		"expect nothing":         {step("expect: []"), `expect: "" are not statuses`},
		"repeat":                 {step("repeat: 0"), "4: step s: repeat 0 is out of range: 1 to 1000"},
		"two bodies":             {step("body: x\n    json: {}"), "more than one of body, json and form"},
		"body file":              {step("body: '@no'"), "file does not exist"},
		"form of a list":         {step("form: {a: [1]}"), "a is not a string"},
		"bad header":             {step("headers: {'a b': c}"), "4: step s: headers: "},
		"header twice":           {step("headers: {x-a: 1, X-A: 2}"), "X-A appears twice"},
		"traceparent":            {step("headers: {traceparent: x}"), "each user has a trace"},
		"nested lists":           {"name: f\nsteps: " + strings.Repeat("[", 500_000), "2: lists and maps are more than 1000 deep"},
		"nested dashes":          {"name: f\nsteps:\n  " + strings.Repeat("- ", 500_000), "3: lists and maps are more than 1000 deep"},
		"nested maps":            {"name: f\nsteps: " + strings.Repeat("{a: ", 250_000), "2: lists and maps are more than 1000 deep"},
		"too many steps":         {"steps:\n" + strings.Repeat("  - {name: s, get: /}\n", maxSteps+1), "51 steps, at most 50"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := parse("file", []byte(tt.text), csv.open)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%v, want one line with %s", err, tt.want)
			}
		})
	}
}

// Blanks in a placeholder do not count.
func TestBlanks(t *testing.T) {
	t.Parallel()
	u := must(t, "steps:\n  - {name: s, get: '/albums/{{ user }}?n={{ user }}'}\n").NewUser(7, 1)
	s, _ := u.Next()
	if r, err := u.Request(s); err != nil || r.URL != "/albums/7?n=7" || s.Operation != "GET /albums/{user}" {
		t.Errorf("%s, %q, %v", s.Operation, r.URL, err)
	}
}

// Files are relative to that of the flow, and errors have its name.
func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("body.json", `{"a": {{user}}}`)
	f, err := Read(write("shop.yaml", "\ufeffsteps:\n  - {name: s, post: /, body: '@body.json'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	u := f.NewUser(7, 1)
	s, _ := u.Next()
	if r, err := u.Request(s); f.Name != "shop" || err != nil || string(r.Body) != `{"a": 7}` {
		t.Errorf("%s: %s, %v", f.Name, r.Body, err)
	}
	bad := write("bad.yaml", "steps:\n  - name: s\n")
	if _, err := Read(bad); err == nil || !strings.HasPrefix(err.Error(), bad+":2: step s: ") {
		t.Error(err)
	}
	if _, err := Read(filepath.Join(dir, "none.yaml")); err == nil || strings.Contains(err.Error(), ":1:") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(full)
	f.Add("steps:\n  - {name: s, get: '/{{user}}', extract: {v: $.v}, check: [v == 1]}\n")
	f.Fuzz(func(t *testing.T, text string) {
		flow, err := parse("file", []byte(text), csv.open)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("error of several lines: %q", err)
			}
			return
		}
		u := flow.NewUser(1, 1)
		for range 100 {
			s, failure := u.Next()
			if s == nil || failure != nil {
				return
			}
			if _, err := u.Request(s); err != nil {
				return
			}
			_ = u.Respond(s, Response{Status: 200, Header: http.Header{}, Body: []byte(`{"v":1}`)})
			_ = u.Pause()
		}
	})
}
