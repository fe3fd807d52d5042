package httpheader

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock begins at 2000-01-01 00:00:00 UTC
		for _, tt := range []struct {
			value, date string
			want        time.Duration
			ok          bool
		}{
			{"", "", 0, false},
			{"0", "", 0, true},
			{"120", "", 2 * time.Minute, true},
			{" 7 ", "", 7 * time.Second, true},
			{"007", "", 7 * time.Second, true},
			{"99999999999", "", maxWait, true},
			{"99999999999999999999999", "", maxWait, true},
			{"-1", "", 0, false},
			{"+1", "", 0, false},
			{"1.5", "", 0, false},
			{"1, 2", "", 0, false},
			{"soon", "", 0, false},
			{"Sat, 01 Jan 2000 00:00:30 GMT", "", 30 * time.Second, true},
			{"Saturday, 01-Jan-00 00:00:30 GMT", "", 30 * time.Second, true},
			{"Sat Jan  1 00:00:30 2000", "", 30 * time.Second, true},
			{"Fri, 31 Dec 1999 23:59:30 GMT", "", 0, true},
			{"Sat, 01 Jan 2000 00:00:30", "", 0, false},
			{"2000-01-01T00:00:30Z", "", 0, false},
			// The server's clock is another.
			{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:27:45 GMT", 15 * time.Second, true},
			{"Wed, 21 Oct 2015 07:28:00 GMT", "Wednesday, 21-Oct-15 07:28:00 GMT", 0, true},
			{"Wed, 21 Oct 2015 07:28:00 GMT", "Wed Oct 21 07:28:10 2015", 0, true},
			{"Sat, 01 Jan 2000 00:00:30 GMT", "today", 30 * time.Second, true},
			{"60", "Wed, 21 Oct 2015 07:27:45 GMT", time.Minute, true},
			{"Fri, 31 Dec 9999 23:59:59 GMT", "", maxWait, true},
		} {
			h := http.Header{}
			if tt.value != "" {
				h.Set("Retry-After", tt.value)
			}
			if tt.date != "" {
				h.Set("Date", tt.date)
			}
			if got, ok := RetryAfter(h); got != tt.want || ok != tt.ok {
				t.Errorf("RetryAfter(%q, Date %q) = %s, %v, want %s, %v", tt.value, tt.date, got, ok, tt.want, tt.ok)
			}
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"1", "Sat, 01 Jan 2000 00:00:30 GMT", "Saturday, 01-Jan-00 00:00:30 GMT", "Sat Jan  1 00:00:30 2000", "-1", ""} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, value, date string) {
		got, ok := RetryAfter(http.Header{"Retry-After": {value}, "Date": {date}})
		if got < 0 || got > maxWait || !ok && got != 0 {
			t.Errorf("RetryAfter(%q, Date %q) = %s, %v", value, date, got, ok)
		}
	})
}

func TestNextPage(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		links []string
		want  string
	}{
		{nil, ""},
		{[]string{`</albums?limit=2>; rel="first"`}, ""},
		{[]string{`</albums?cursor=c&limit=2>; rel="next", </albums?limit=2>; rel="first"`}, "/albums?cursor=c&limit=2"},
		{[]string{`</albums?limit=2>; rel="first", </albums?cursor=c>; rel="next"`}, "/albums?cursor=c"},
		{[]string{`</albums?limit=2>; rel="first"`, `<https://example.test/albums?cursor=c>; rel=next`}, "https://example.test/albums?cursor=c"},
		{[]string{`</albums?cursor=c>; title="more"; rel="next"`}, "/albums?cursor=c"},
		{[]string{"</albums?cursor=c"}, ""},
	} {
		if got := NextPage(http.Header{"Link": tt.links}); got != tt.want {
			t.Errorf("NextPage(%q) = %q, want %q", tt.links, got, tt.want)
		}
	}
}
