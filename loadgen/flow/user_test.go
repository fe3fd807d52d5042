package flow

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestRespond(t *testing.T) {
	t.Parallel()
	body := `{"a":[1,2,3],"t":"x","n":null,"f":1.0}`
	header := http.Header{"Location": {"/a/1", "/a/2"}}
	for name, tt := range map[string]struct{ step, body, check, detail string }{
		"check":                {"check: [json.t == 'x', status == 200, 'len(json.a) > 2', 'json.f == 1', 'json.n == nil']", body, "", ""},
		"$env":                 {"check: ['$env[\"json\"].t == \"x\"', '$env.body != \"\"']", body, "", ""},
		"false":                {"check: [json.t == 'y']", body, "json.t == 'y'", "status 200, 38 bytes: false"},
		"cannot be evaluated":  {"check: [json.n.u > 3]", body, "json.n.u > 3", "cannot fetch u from <nil>"},
		"not JSON":             {"check: [json.t == 'x']", "<html>", "json.t == 'x'", "the body is not JSON: invalid character '<'"},
		"two JSON values":      {"check: [json.t == 'x']", body + body, "json.t == 'x'", "more than one JSON value"},
		"text":                 {"check: ['body contains \"html\"']", "<html>", "", ""},
		"header":               {"check: ['header(\"Location\") == \"/a/1\"']", body, "", ""},
		"extract nothing":      {"extract: {v: $.zz}", body, "extract v", "$.zz selects nothing"},
		"extract null":         {"extract: {v: $.n}\n    check: [v == nil]", body, "", ""},
		"extract, not JSON":    {"extract: {v: $.zz}", "<html>", "extract v", "not JSON"},
		"default":              {"extract: {v: {jsonpath: $.zz, default: d}}\n    check: [v == 'd']", body, "", ""},
		"last header":          {"extract: {v: {header: location, select: last, regex: '[0-9]+'}}\n    check: [v == '2']", body, "", ""},
		"no header":            {"extract: {v: {header: X-No}}", body, "extract v", "header X-No: nothing found"},
		"no match":             {"extract: {v: {regex: 'z(.)z'}}", body, "extract v", "regex z(.)z: nothing found"},
		"group":                {"extract: {v: {regex: '\"t\":\"(.)\"'}}\n    check: [v == 'x']", body, "", ""},
		"all":                  {"extract: {v: {jsonpath: '$.a[*]', select: all}}\n    check: ['len(v) == 3', 'sum(v) == 6']", body, "", ""},
		"all of nothing":       {"extract: {v: {jsonpath: '$.b[*]', select: all}}\n    check: ['len(v) == 0']", body, "", ""},
		"random":               {"extract: {v: {jsonpath: '$.a[*]', select: random}}\n    check: ['v in [1,2,3]']", body, "", ""},
		"earlier value counts": {"extract: {w: $.t, v: {regex: x}}\n    check: [w == v]", body, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := must(t, "steps:\n  - name: s\n    get: /\n    "+tt.step+"\n").NewUser(0, 1)
			s, _ := u.Next()
			f := u.Respond(s, Response{Status: 200, Header: header, Body: []byte(tt.body)})
			if f == nil {
				f = &Failure{}
			}
			if f.Check != tt.check || !strings.Contains(f.Detail, tt.detail) || tt.detail == "" && f.Detail != "" {
				t.Errorf("%q: %q, want %q: %q", f.Check, f.Detail, tt.check, tt.detail)
			}
		})
	}
}

// A body that could not be read fails only what needs it, even if an empty one would pass.
func TestUnreadBody(t *testing.T) {
	t.Parallel()
	u := must(t, "steps:\n  - name: s\n    get: /\n    check: [status == 200, json.a == 1]\n").NewUser(0, 1)
	s, _ := u.Next()
	if f := u.Respond(s, Response{Status: 200, Err: fmt.Errorf("too large")}); f == nil || f.Check != "json.a == 1" || !strings.Contains(f.Detail, "too large") {
		t.Errorf("%+v", f)
	}
	u = must(t, "steps:\n  - name: s\n    get: /\n    check: ['header(\"A\") == \"\"', 'body == \"\"']\n").NewUser(0, 1)
	s, _ = u.Next()
	if f := u.Respond(s, Response{Status: 200, Err: fmt.Errorf("too large")}); f == nil || f.Check != `body == ""` || !strings.HasSuffix(f.Detail, ": too large") {
		t.Errorf("%+v", f)
	}
}

// A value that a skipped step would have is missed, and a value that would end a header is not sent.
func TestCannotSend(t *testing.T) {
	t.Parallel()
	u := must(t, "steps:\n  - {name: a, get: /, if: user > 5, extract: {v: $.v}}\n  - {name: b, get: '/{{v}}'}\n").NewUser(0, 1)
	s, _ := u.Next()
	if _, err := u.Request(s); s.Name != "b" || err == nil || !strings.Contains(err.Error(), "variable v has no value") {
		t.Errorf("step %s: %v", s.Name, err)
	}
	u = must(t, "steps:\n  - {name: a, get: /, extract: {v: $.v}}\n  - {name: b, get: /, headers: {X-V: '{{v}}'}}\n").NewUser(0, 1)
	s, _ = u.Next()
	if f := u.Respond(s, Response{Status: 200, Body: []byte(`{"v":"a\r\nX-Injected: 1"}`)}); f != nil {
		t.Fatal(f)
	}
	s, _ = u.Next()
	if _, err := u.Request(s); err == nil || !strings.Contains(err.Error(), "header X-V has a control character") {
		t.Error(err)
	}
	u = must(t, "steps:\n  - {name: a, get: /, extract: {v: {jsonpath: $.v, default: x}}}\n  - {name: b, get: /, if: v > 1}\n").NewUser(0, 1)
	s, _ = u.Next()
	_ = u.Respond(s, Response{Status: 200, Body: []byte(`{}`)})
	if s, f := u.Next(); f == nil || f.Check != "if v > 1" || s.Name != "b" {
		t.Errorf("%v, %+v", s, f)
	}
}

// A link is relative to the URL of its response, a variable of the file to that of the service.
func TestLinks(t *testing.T) {
	t.Parallel()
	from, err := url.Parse("http://shop.example/api/orders?page=1")
	if err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]string{`"/api/a?b=1"`: "http://shop.example/api/a?b=1", `"https://h/a"`: "https://h/a", `"a"`: "http://shop.example/api/a",
		`"?page=2"`: "http://shop.example/api/orders?page=2", `"//h/a"`: "http://h/a", `"file:///etc"`: "not an http://", `""`: "it is empty", "null": "it is null, not a text", "7": "it is 7", `"/%zz"`: "invalid URL escape"} {
		u := must(t, "steps:\n  - {name: a, get: /, extract: {v: $.v}}\n  - {name: b, get: '{{v}}'}\n").NewUser(0, 1)
		s, _ := u.Next()
		if f := u.Respond(s, Response{URL: from, Status: 200, Body: []byte(`{"v":` + link + `}`)}); f != nil || s.follows {
			t.Fatal(f)
		}
		s, _ = u.Next()
		if r, err := u.Request(s); r.URL != want && (err == nil || !strings.Contains(err.Error(), want)) || !s.follows {
			t.Errorf("link %s: %q, %v, want %s", link, r.URL, err, want)
		}
	}
	for link, want := range map[string]string{"/a?b=1": "/a?b=1", "https://h/a": "https://h/a", "a": "not an http://", "//h/a": "not an http://", `""`: "it is empty"} {
		u := must(t, "variables: {v: "+link+"}\nsteps:\n  - {name: b, get: '{{v}}'}\n").NewUser(0, 1)
		s, _ := u.Next()
		if r, err := u.Request(s); r.URL != want && (err == nil || !strings.Contains(err.Error(), want)) || s.follows {
			t.Errorf("link %s: %q, %v, want %s", link, r.URL, err, want)
		}
	}
}

// Integers have all their digits in later requests, whatever their size.
func TestLargeIntegers(t *testing.T) {
	t.Parallel()
	const ids = `18446744073709551615,123456789012345678901234567890,-9223372036854775808`
	u := must(t, "steps:\n  - {name: a, get: /, extract: {list: $.v, u: '$.v[0]', n: '$.v[1]'}, check: ['json.v[0] == u', 'json.v[0] > 18e18', 'n > 1e29', 'len(list) == 3', 'list[1] == n']}\n"+
		"  - {name: b, post: '/{{u}}/{{n}}', json: '{{list}}'}\n").NewUser(0, 1)
	s, _ := u.Next()
	if f := u.Respond(s, Response{Status: 200, Body: []byte(`{"v":[` + ids + `]}`)}); f != nil {
		t.Fatal(f)
	}
	s, _ = u.Next()
	if r, err := u.Request(s); err != nil || r.URL != "/18446744073709551615/123456789012345678901234567890" || string(r.Body) != "["+ids+"]" {
		t.Errorf("%s %s, %v", r.URL, r.Body, err)
	}
}

// A condition that cannot be evaluated is a failure of its step, the first one too, and the user may go on after it.
func TestBadCondition(t *testing.T) {
	t.Parallel()
	u := must(t, "data: users.csv\nsteps:\n  - {name: a, get: /, if: zip > 5, continue: true}\n  - {name: b, get: /}\n  - {name: c, get: /, if: zip > 5}\n").NewUser(0, 1)
	for _, want := range []struct {
		name            string
		fails, carryOns bool
	}{{"a", true, true}, {"b", false, false}, {"c", true, false}} {
		if s, f := u.Next(); s.Name != want.name || (f != nil) != want.fails || u.CarriesOn() != want.carryOns {
			t.Errorf("step %s: %+v, carries on: %t, want %+v", s.Name, f, u.CarriesOn(), want)
		}
	}
	if s, f := u.Next(); s != nil || f != nil || u.More() {
		t.Errorf("step %v after the last one: %v", s, f)
	}
}
