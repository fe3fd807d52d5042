package traces

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"soundcheck/internal/jaegerapi"
)

// filtered has a client span, below it a failed server span with attributes, and a query.
func filtered(t *testing.T) *trace {
	t.Helper()
	text := `{"traceID":"t","spans":[
		{"spanID":"1","operationName":"GET /a","startTime":5,"duration":100000,"processID":"p1","tags":[{"key":"span.kind","value":"client"},{"key":"http.response.status_code","value":503}]},
		{"spanID":"2","operationName":"GET /a/{id}","startTime":6,"duration":90000,"processID":"p2","tags":[{"key":"span.kind","value":"server"},{"key":"http.response.status_code","value":503},{"key":"error","value":true},{"key":"otel.status_code","value":"ERROR"},{"key":"url.path","value":"/a/7?x=1"},{"key":"retry","value":false},{"key":"host.name","value":"of the span"},{"key":"name","value":"attribute"},{"key":"size","value":"12"},{"key":"order.id","value":"9007199254740993"}]},
		{"spanID":"3","operationName":"SELECT","startTime":7,"duration":2000,"processID":"p2","tags":[{"key":"db.system.name","value":"sqlite"},{"key":"ratio","value":0.25},{"key":"result","value":"NaN"},{"key":"otel.status_code","value":"OK"}]}],
		"processes":{"p1":{"serviceName":"loadgen"},"p2":{"serviceName":"album-store","tags":[{"key":"host.name","value":"vm-1"},{"key":"service.version","value":"1.2"}]}}}`
	var found jaegerapi.Trace
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		t.Fatal(err)
	}
	return newTrace(&found)
}

func TestFilter(t *testing.T) {
	t.Parallel()
	trace := filtered(t)
	for filter, want := range map[string]string{
		"":                              "123",
		"  ":                            "123",
		"http.response.status_code=503": "12",
		"http.response.status_code >= 500 and status = error": "2",
		`"http.response.status_code" > 5e2 && kind=client`:    "1",
		"http.response.status_code != 503":                    "",
		"http.response.status_code < 503":                     "",
		"http.response.status_code <= 503.0":                  "12",
		"size > 9":                                            "2", // a text that is a number
		"size = 12.0":                                         "2",
		"order.id = 9007199254740993":                         "2",
		"order.id = 9007199254740992":                         "", // the same float64
		"order.id != 9007199254740992":                        "2",
		"order.id > 9007199254740000":                         "2",
		"result = NaN":                                        "3",
		"result != nan":                                       "3",
		"result != 5":                                         "3",
		"ratio=0.25":                                          "3",
		"ratio < .3":                                          "3",
		"retry = false":                                       "2",
		"url.path > 1":                                        "",
		"url.path = /a/7?x=1":                                 "2",
		`url.path=~"/a/\\d+\\?.*"`:                            "2",
		`url.path =~ /a`:                                      "", // the whole value
		`url.path !~ /a`:                                      "2",
		"url.path contains 7?x":                               "2",
		"url.path NOT contains 7?x":                           "",
		"url.path not contains 8 AND service = album-store":   "2",
		"host.name = vm-1":                                    "3", // the span's own value comes first
		"resource.host.name = vm-1":                           "23",
		"span.host.name exists":                               "2",
		"host.name exists":                                    "23",
		"host.name not exists":                                "1",
		"span.host.name not exists and resource.host.name exists": "3",
		"service = loadgen":                   "1",
		"service != loadgen":                  "23",
		`service =~ "album.*|other"`:          "23",
		"name = SELECT":                       "3",
		"name contains GET":                   "12",
		`"name" = attribute`:                  "2",
		"span.name = attribute":               "2",
		"span.kind = client":                  "1",
		"kind = SERVER":                       "2",
		"kind != client":                      "23",
		"status = error":                      "2",
		"status = ok":                         "3",
		"status = unset":                      "1",
		"duration > 2ms":                      "12",
		"duration >= 2ms":                     "123",
		"duration < 90ms":                     "3",
		"duration = 2ms":                      "3",
		"duration != 2ms":                     "12",
		"duration > 50ms and duration<=0.09s": "2",
		`db.system.name = "and"`:              "",
		"db.system.name=sqlite and http.response.status_code=503":         "", // of different spans
		"kind = client or name = SELECT":                                  "13",
		"kind = client || name = SELECT":                                  "13",
		"service = loadgen OR service = album-store and duration < 5ms":   "13", // and binds more tightly
		"(service = loadgen or service = album-store) and duration < 5ms": "3",
		"duration < 5ms and service = loadgen or kind = server":           "2",
		"((kind=client)or(kind=server))and(size exists)":                  "2",
		"url.path =~ /(a|b)/7.x=1":                                        "2", // balanced parentheses are a part of the value
		"(url.path =~ /(a|b)/7.x=1)":                                      "2",
		`url.path = ")" or size = 12`:                                     "2",
		`"or" = 1 or "(" = 2`:                                             "",
	} {
		f, err := ParseFilter(filter)
		if err != nil {
			t.Errorf("%s: %v", filter, err)
			continue
		}
		got := ""
		for _, s := range f.matches(trace) {
			got += s.SpanID
		}
		if got != want {
			t.Errorf("%s: spans %q, want %q", filter, got, want)
		}
	}
}

func TestFilterErrors(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{
		"http.route":                  "Filter, character 11: want an operator, such as = or exists, not the end",
		"= 5":                         "Filter, character 1: want a key, such as http.route, not the end",
		"a = ":                        "Filter, character 5: want a value after =, not the end",
		"a = and b = 2":               `Filter, character 5: want a value after =, not "and"`,
		"a = 1 b = 2":                 `Filter, character 7: want "and", "or" or the end, not "b". Quote values with spaces`,
		"a = 1 and":                   "Filter, character 10: want a key, such as http.route, not the end",
		"a = 1 or":                    "Filter, character 9: want a key, such as http.route, not the end",
		"a = 1 or or b":               `Filter, character 10: want a key, such as http.route, not "or"`,
		"or a = 1":                    `Filter, character 1: want a key, such as http.route, not "or"`,
		"a = or":                      `Filter, character 5: want a value after =, not "or"`,
		"(a = 1":                      "Filter, character 7: want ) for the ( at character 1, not the end",
		"((a = 1) or b":               "Filter, character 14: want an operator, such as = or exists, not the end",
		"(ä = 1 or (b=2)":             "Filter, character 16: want ) for the ( at character 1, not the end",
		"a = 1)":                      "Filter, character 6: there is no ( for this )",
		"a exists) or b":              "Filter, character 9: there is no ( for this )",
		"()":                          `Filter, character 2: want a key, such as http.route, not ")"`,
		"(a = )":                      `Filter, character 6: want a value after =, not ")"`,
		"(a = 1)(b = 2)":              `Filter, character 8: want "and", "or" or the end, not "(". Quote values with spaces`,
		"a = 1 = 2":                   `Filter, character 7: want "and", "or" or the end, not "=". Quote values with spaces`,
		"not (a = 1)":                 "Filter, character 1: negation is not supported: use !=, !~, not contains or not exists",
		"!a = 1":                      "Filter, character 1: negation is not supported: use !=, !~, not contains or not exists",
		strings.Repeat("(", 51) + "a": "Filter, character 51: parentheses are more than 50 deep",
		"a == 1":                      "Filter, character 3: == is not an operator: use =",
		"a > b":                       `Filter, character 5: > compares numbers: "b" is not one`,
		`ä = "b`:                      "Filter, character 5: the quoted text has no closing quote, or an unknown escape",
		`a =~ "b("`:                   "Filter, character 6: \"b(\" is not a regular expression: missing closing ): `b(`",
		"a > nan":                     `Filter, character 5: > compares numbers: "nan" is not one`,
		`a =~ \Qb`:                    "Filter, character 6: \"\\\\Qb\" is not a regular expression: missing closing ): `^(?s:\\Qb)$`",
		"duration > 5":                `Filter, character 12: "5" is not a duration. Examples: 1.2s, 100ms, 500us`,
		"duration =~ 5ms":             "Filter, character 10: =~ is not for duration: use one of = != > >= < <=",
		"status = failed":             `Filter, character 10: status is one of error, ok, unset, not "failed"`,
		"kind = http":                 `Filter, character 8: kind is one of client, server, internal, producer, consumer, not "http"`,
		"name exists":                 "Filter, character 6: every span has a name: exists is for attributes",
		"a not 5":                     `Filter, character 7: want exists or contains after not, not "5"`,
		"a = \"b\"c":                  `Filter, character 8: want "and", "or" or the end, not "c". Quote values with spaces`,
	} {
		if f, err := ParseFilter(filter); err == nil || err.Error() != want {
			t.Errorf("ParseFilter(%s) = %v, %v\nwant %s", filter, f, err, want)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add(`a = "b" and duration > 5ms && x not exists`)
	f.Add("ä=~\xff")
	f.Add(`a =~ \Qb`)
	f.Add(`(a = (b) or c exists)) && "(" = 1 || d`)
	f.Fuzz(func(t *testing.T, source string) {
		if _, err := ParseFilter(source); err != nil && !strings.HasPrefix(err.Error(), "Filter, character ") {
			t.Errorf("ParseFilter(%q) = %v", source, err)
		}
	})
}

func TestPush(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]struct{ query, pushed string }{
		"a = b and c = 5 and d = true":                             {`tags={"a":"b","c":"5","d":"true"}`, "a = b, c = 5, d = true"},
		"a = 5.0 and b = 1e3 and c != 2 and d exists and e = \"\"": {"", ""},
		"resource.a = 1 and span.b = 2":                            {`tags={"a":"1","b":"2"}`, "resource.a = 1, span.b = 2"},
		"a = 1 and a = 2":                                          {`tags={"a":"1"}`, "a = 1"},
		"status = error and kind = client and status = ok":         {`tags={"error":"true"}`, "status = error"},
		"name = x and service = s and name = y":                    {"operation=x", "name = x"},
		"duration > 1ms and duration >= 5ms and duration < 10ms":   {"maxDuration=10001us&minDuration=5000us", "duration > 1ms, duration >= 5ms, duration < 10ms"},
		"a = 1 or b = 2":                                           {"", ""},
		"(a = 1 and b = 2) and (c = 3 or d = 4)":                   {`tags={"a":"1","b":"2"}`, "a = 1, b = 2"},
		"duration = 1500ns and duration != 2ms":                    {"maxDuration=2us&minDuration=1us", "duration = 1500ns"},
	} {
		f, err := ParseFilter(filter)
		if err != nil {
			t.Fatal(err)
		}
		q := url.Values{}
		pushed := strings.Join(f.push(q), ", ")
		query, _ := url.QueryUnescape(q.Encode())
		if query != want.query || pushed != want.pushed {
			t.Errorf("%s: pushes %s as %s, want %s as %s", filter, pushed, query, want.pushed, want.query)
		}
	}
}

// With a filter, a search reads up to MaxLimit traces; without, the limit.
func TestSearchReads(t *testing.T) {
	t.Parallel()
	filter := func(text string) Filter {
		f, err := ParseFilter(text)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for _, tt := range []struct {
		name     string
		query    Query
		want     string // matched/read/max/cut, services
		requests []string
	}{
		{"no filter", Query{Service: "loadgen", Limit: 1}, "1/1/1/true [loadgen]", []string{"1"}},
		{"enough", Query{Service: "loadgen", Limit: 1, Filter: filter("kind = internal")}, "1/1/1/true [loadgen]", []string{"1"}},
		{"too few", Query{Service: "loadgen", Limit: 1, Filter: filter("kind = server")}, "0/1/1500/false [loadgen]", []string{"1", "1500"}},
		{"all are read", Query{Service: "loadgen", Limit: 2, Filter: filter("kind = server")}, "0/1/2/false [loadgen]", []string{"2"}},
		{"every service", Query{Limit: 5}, "1/1/5/false [loadgen store]", []string{"5", "5"}},
		{"the filter selects services", Query{Limit: 5, Filter: filter("service != loadgen")}, "1/1/5/false [store]", []string{"5"}},
		{"alternatives select services", Query{Limit: 5, Filter: filter("service = store and kind = internal or service = none")}, "1/1/5/false [store]", []string{"5"}},
		{"any service by an alternative", Query{Limit: 5, Filter: filter("service = store or duration > 0s")}, "1/1/5/false [loadgen store]", []string{"5", "5"}},
		{"of the service", Query{Service: "loadgen", Limit: 5, Operation: "SELECT"}, "0/1/5/false [loadgen]", []string{"5"}},
		{"the operation", Query{Service: "store", Limit: 5, Operation: "SELECT", Min: 2 * time.Microsecond, Max: 2 * time.Microsecond}, "1/1/5/false [store]", []string{"5"}},
		{"no service", Query{Service: "loadgen", Limit: 5, Filter: filter("service = store")}, "0/0/0/false []", nil},
	} {
		j, queries := jaeger(t, `["store","loadgen"]`)
		r, err := j.Search(t.Context(), tt.query)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		got := strings.Join([]string{strconv.Itoa(r.Matched), strconv.Itoa(r.Read), strconv.Itoa(r.ReadMax), strconv.FormatBool(r.Cut)}, "/") + " [" + strings.Join(r.Services, " ") + "]"
		var requests []string
		for _, q := range queries() {
			requests = append(requests, q.Get("limit"))
		}
		if got != tt.want || !reflect.DeepEqual(requests, tt.requests) || len(r.Traces) != r.Matched {
			t.Errorf("%s: %s with limits %v, want %s with %v", tt.name, got, requests, tt.want, tt.requests)
		}
	}
}
