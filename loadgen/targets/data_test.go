package targets

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

func TestReadData(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"d.csv", "\ufeffid,word\r\n1,\"a,\"\"b\"\"\nc\"\n\n-2.5e3,true\n", `{"name":"d.csv","columns":["id","word"],"rows":[[{"t":"1","l":true},{"t":"a,\"b\"\nc"}],[{"t":"-2.5e3","l":true},{"t":"true","l":true}]]}`},
		{"d", "a\n01\n 1\n1.\n\"\"\nnull\n", `{"name":"d","columns":["a"],"rows":[[{"t":"01"}],[{"t":" 1"}],[{"t":"1."}],[{"t":""}],[{"t":"null","l":true}]]}`},
		{"d.jsonl", "\ufeff{\"a\":1.50,\"b\":\"x\\n\"}\n\n{\"b\":\"1\",\"a\":null}", `{"name":"d.jsonl","columns":["a","b"],"rows":[[{"t":"1.50","l":true},{"t":"x\n"}],[{"t":"null","l":true},{"t":"1"}]]}`},
	} {
		d, err := ReadData(tt.name, strings.NewReader(tt.in))
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if b, _ := json.Marshal(d); string(b) != tt.want {
			t.Errorf("%q: %s, want %s", tt.in, b, tt.want)
		}
	}
	for _, tt := range []struct{ name, in, want string }{
		{"d.csv", "", "d.csv: no rows"},
		{"d.csv", "a,b\n", "d.csv: no rows"},
		{"d.csv", "a,b\n\n1\n", "d.csv:3: 1 fields, the first line has 2"},
		{"d.csv", "a,b\n1,2,3\n", "d.csv:2: 3 fields, the first line has 2"},
		{"d.csv", "a,a\n1,2\n", "d.csv:1: column a appears twice"},
		{"d.csv", "a,\n1,2\n", `d.csv:1: "" is not the name of a column: letters, digits, _, - and ., as in user_id`},
		{"d.csv", "1\n", `d.csv:1: "1" is not the name of a column: letters, digits, _, - and ., as in user_id`},
		{"d.csv", "a\nx\"y\n", `d.csv:2: bare " in non-quoted-field`},
		{"d.csv", "a\n\xff\n", "d.csv:2: column a is not UTF-8"},
		{"d.ndjson", "\n[1]", `d.ndjson:2: "[1]" is not a JSON object: use one object a line`},
		{"d.jsonl", `{"a":1} x`, `d.jsonl:1: "x" follows the object: use one object a line`},
		{"d.jsonl", `{"a":{}}`, `d.jsonl:1: field "a" is not a string, a number, true, false or null`},
		{"d.jsonl", `{"a":1,"a":2}`, `d.jsonl:1: field "a" appears twice`},
		{"d.jsonl", "{\"a\":1}\n{\"b\":1}", "d.jsonl:2: field a is missing, which the first object has"},
		{"d.jsonl", "{\"a\":1}\n{\"a\":1,\"b\":1}", `d.jsonl:2: field "b" is not in the first object`},
		{"d.jsonl", `{"a b":1}`, `d.jsonl:1: "a b" is not the name of a column: letters, digits, _, - and ., as in user_id`},
	} {
		if d, err := ReadData(tt.name, strings.NewReader(tt.in)); err == nil || err.Error() != tt.want {
			t.Errorf("%q: %v, %v, want %s", tt.in, d, err, tt.want)
		}
	}
}

func data(t testing.TB, name, in string) *Data {
	t.Helper()
	d, err := ReadData(name, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Each value is escaped for its place.
func TestTemplate(t *testing.T) {
	t.Parallel()
	const csv = "v,n\n\"a/b c?&=+\"\"\\ü\",7\n"
	for _, tt := range []struct{ name, url, contentType, body, want string }{
		{"path", "http://a/x/{{v}}/y", "", "", "http://a/x/a%2Fb%20c%3F&=+%22%5C%C3%BC/y"},
		{"query", "http://a/x?{{v}}={{ n }}", "", "", "http://a/x?a%2Fb%20c%3F%26%3D%2B%22%5C%C3%BC=7"},
		{"no placeholder in the body", "http://a/{{n}}", "", "}}", "http://a/7 }}"},
		{"JSON by its header", "http://a/", "application/problem+json; charset=utf-8", `"{{v}}"`, `http://a/ "a/b c?&=+\"\\ü"`},
		{"JSON by its beginning", "http://a/", "", ` {"a":"x{{v}}","b":{{n}},"c":{{v}},"d":"\"{{n}}"}`, `http://a/  {"a":"xa/b c?&=+\"\\ü","b":7,"c":"a/b c?&=+\"\\ü","d":"\"7"}`},
		{"form", "http://a/", "application/x-www-form-urlencoded", "v={{v}}", "http://a/ v=a%2Fb%20c%3F%26%3D%2B%22%5C%C3%BC"},
		{"text", "http://a/", "text/plain", `{"v":"{{v}}"}`, `http://a/ {"v":"a/b c?&=+"\ü"}`},
		{"text by its beginning", "http://a/", "", "{{v}}", `http://a/ a/b c?&=+"\ü`},
	} {
		target := vegeta.Target{Method: "PUT", URL: tt.url, Header: http.Header{}, Body: []byte(tt.body)}
		if tt.contentType != "" {
			target.Header["content-type"] = []string{tt.contentType}
		}
		m, err := NewTemplate(&target, data(t, "d.csv", csv))
		if err != nil || m == nil {
			t.Errorf("%s: %v, %v", tt.name, m, err)
			continue
		}
		got := m.Render(3) // the only row
		if s := strings.TrimSuffix(got.URL+" "+string(got.Body), " "); s != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, s, tt.want)
		}
	}
	target := vegeta.Target{URL: "http://a/", Header: http.Header{"X": {"1", "<{{v}}>"}, "Y": {"z"}}}
	m, err := NewTemplate(&target, data(t, "d.csv", csv))
	if err != nil {
		t.Fatal(err)
	}
	if h := m.Render(0).Header; h["X"][1] != `<a/b c?&=+"\ü>` || h["X"][0] != "1" || h["Y"][0] != "z" || target.Header["X"][1] != "<{{v}}>" {
		t.Errorf("%v of %v", h, target.Header)
	}
	if m, err := NewTemplate(&vegeta.Target{URL: "http://a/", Body: []byte("{{v}} is sent as it is")}, nil); m != nil || err != nil {
		t.Errorf("a body without -data: %v, %v", m, err)
	}
}

func TestPlaceholderErrors(t *testing.T) {
	t.Parallel()
	const csv = "v,t\n\"a\nb\",00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\n"
	for in, want := range map[string]string{
		"GET http://a/{{w}}\n":                           "f:1: placeholder {{w}} is no column of d.csv: v, t",
		"\nGET http://a/{{v}}\nX: {{w}}\n":               "f:2: header X: placeholder {{w}} is no column of d.csv: v, t",
		"GET http://a/\nX: {{v}}\n":                      "f:1: d.csv:2: column v has a control character, and is in header X",
		"GET http://a/{{v}\n":                            `f:1: "{{v}" is not a placeholder, as in {{name}}`,
		"GET http://a/{{v}}{{}}\n":                       `f:1: "{{}}" is not a placeholder, as in {{name}}`,
		"GET http://a:{{v}}/\n":                          `f:1: "http://a:{{v}}/" is not an http:// or https:// URL with a host`,
		"GET http://{{t}}/\n":                            `f:1: "http://{{t}}/" is not an http:// or https:// URL with a host`,
		"GET http://a/#{{v}}\n":                          "f:1: a placeholder after # would not be sent",
		"GET http://a/\ntraceparent: {{v}}\n":            "f:1: d.csv:2: column v has a control character, and is in header Traceparent",
		"GET http://a/\ntraceparent: 00-{{t}}\n":         "f:1: header traceparent: a placeholder must be the whole value",
		"GET http://a/\ncontent-length: {{v}}\n":         "f:1: header Content-Length is {{v}}, the body has 0 bytes: remove the header",
		"GET http://a/{{v}}\ntraceparent: {{t}}\n":       "",
		`{"method":"GET","url":"http://a/?{{t}}={{v}}"}`: "",
	} {
		d := data(t, "d.csv", csv)
		list, err := Options{Data: d}.Read("f", strings.NewReader(in))
		if want == "" && (err != nil || len(list) != 1 || d.CheckUsed() != nil) || want != "" && (err == nil || err.Error() != want) {
			t.Errorf("%q: %v, %v, want %s", in, list, err, want)
		}
	}
	d := data(t, "d.csv", csv)
	if _, err := (Options{Data: d}).Read("f", strings.NewReader("GET http://a/{{t}}")); err != nil {
		t.Fatal(err)
	}
	if err := d.CheckUsed(); err == nil || !strings.HasPrefix(err.Error(), "d.csv: no request has the placeholder {{v}} of this column") {
		t.Errorf("an unused column: %v", err)
	}
	if _, err := Read("f", strings.NewReader("GET http://a/\nX: {{v}}")); err == nil || err.Error() != "f:1: placeholder {{v}} needs -data" {
		t.Errorf("without data: %v", err)
	}
}

func FuzzReadData(f *testing.F) {
	f.Add(true, "a,b\n1,\"x\n\"\n")
	f.Add(false, "{\"a\":1,\"b\":\"x\"}\n")
	f.Fuzz(func(t *testing.T, csv bool, in string) {
		name := "d.jsonl"
		if csv {
			name = "d.csv"
		}
		d, err := ReadData(name, strings.NewReader(in))
		if err != nil {
			if !strings.HasPrefix(err.Error(), name+":") {
				t.Errorf("%q: %v has no file", in, err)
			}
			return
		}
		// Whatever a value is, the URL and the JSON around it stay what they are.
		for _, c := range d.Columns {
			p := "{{" + c + "}}"
			target := vegeta.Target{Method: "GET", URL: "http://a/x/" + p + "/y?q=" + p, Body: []byte(`{"a":"<` + p + `>","b":` + p + `}`)}
			m, err := NewTemplate(&target, d)
			if err != nil || m == nil {
				t.Fatalf("%q: %v, %v", in, m, err)
			}
			for i, row := range d.Rows[:min(len(d.Rows), 20)] {
				got := m.Render(uint64(i))
				text := row[index(d, c)].Text
				u, err := url.Parse(got.URL)
				if err != nil || u.Host != "a" || u.Path != "/x/"+text+"/y" || u.Query().Get("q") != text || u.Fragment != "" {
					t.Errorf("%q in a URL: %s, %v", text, got.URL, err)
				}
				var body struct{ A string }
				if err := json.Unmarshal(got.Body, &body); err != nil || body.A != "<"+text+">" || !utf8.Valid(got.Body) {
					t.Errorf("%q in JSON: %s, %v", text, got.Body, err)
				}
			}
		}
	})
}

func index(d *Data, name string) int {
	for i, c := range d.Columns {
		if c == name {
			return i
		}
	}
	return -1
}
