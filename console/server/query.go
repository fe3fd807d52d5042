package server

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// values parses a request's query. Its error is the first invalid value.
type values struct {
	url.Values
	err error
}

func (v *values) bad(name, format string, args ...any) {
	if v.err == nil {
		v.err = failure(http.StatusBadRequest, "%s %s", name, fmt.Sprintf(format, args...))
	}
}

// only rejects unknown names: a misspelt filter would filter nothing.
func (v *values) only(names ...string) {
	for name, list := range v.Values {
		if !slices.Contains(names, name) {
			v.bad(name, "is not one of %s", strings.Join(names, ", "))
		}
		if len(list) > 1 && name != "service" {
			v.bad(name, "is given more than once")
		}
	}
}

func (v *values) number(name string, otherwise, low, high int) int {
	text := v.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		v.bad(name, "%q is not a number from %d to %d", text, low, high)
	}
	return n
}

func (v *values) text(name string, most int) string {
	text := v.Get(name)
	if len(text) > most {
		v.bad(name, "is longer than %d bytes", most)
	}
	return text
}

func (v *values) oneOf(name string, list ...string) string {
	text := v.Get(name)
	if text != "" && !slices.Contains(list, text) {
		v.bad(name, "%q is not one of %s", text, strings.Join(list, ", "))
	}
	return text
}

func (v *values) like(name string, pattern *regexp.Regexp, what string) string {
	text := v.Get(name)
	if text != "" && !pattern.MatchString(text) {
		v.bad(name, "%q is not %s", text, what)
	}
	return text
}

var ago = regexp.MustCompile(`^now(?:-(\d{1,6})([smhdw]))?$`)

// time reads RFC 3339, milliseconds since the epoch, or now-15m.
func (v *values) time(name string, now time.Time) time.Time {
	text := v.Get(name)
	if text == "" {
		return time.Time{}
	}
	if m := ago.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi("0" + m[1])
		unit := map[string]time.Duration{"": 0, "s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
		if n > int(10*365*24*time.Hour/max(unit, time.Second)) {
			v.bad(name, "%q is more than ten years ago", text)
		}
		return now.Add(-time.Duration(n) * unit)
	}
	if ms, err := strconv.ParseInt(text, 10, 64); err == nil && ms > 0 && ms < 1e14 {
		return time.UnixMilli(ms)
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		v.bad(name, "%q is not a time such as now-15m, 2026-01-02T15:04:05Z or milliseconds since 1970", text)
	}
	return t
}

// micros reads microseconds since the epoch.
func (v *values) micros(name string, otherwise time.Time) time.Time {
	if v.Get(name) == "" {
		return otherwise
	}
	us, err := strconv.ParseInt(v.Get(name), 10, 64)
	if err != nil || us < 0 {
		v.bad(name, "%q is not a time in microseconds since 1970", v.Get(name))
	}
	return time.UnixMicro(us)
}

// duration reads a duration such as 1.5ms; 0 for none.
func (v *values) duration(name string) time.Duration {
	text := v.Get(name)
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		v.bad(name, "%q is not a duration such as 1.5ms", text)
	}
	return d
}
