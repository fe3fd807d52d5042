package engine

import "strings"

// categories are the error categories of requests without a response. The first one whose text
// is in the error counts. The errors' texts contain ports and addresses.
var categories = []struct{ in, name string }{
	{"context deadline exceeded", "timeout"},
	{"i/o timeout", "timeout"},
	{"connection refused", "connection refused"},
	{"connection reset", "connection reset"},
	{"broken pipe", "connection reset"},
	{"malformed", "invalid response"}, // of net/http, as the next ones
	{"Content-Length", "invalid response"},
	{"transfer encoding", "invalid response"},
	{"chunk", "invalid response"},
	{"EOF", "connection closed"},
	{"server closed idle connection", "connection closed"},
	{"no such host", "no such host"},
	{"cannot assign requested address", "no free port"},
	{"too many open files", "too many open files"},
	{"response headers are longer", "response headers too long"},
	{"server response headers exceeded", "response headers too long"}, // net/http's
}

// other is the category of all other errors.
const other = "other"

func category(err string) string {
	for _, c := range categories {
		if strings.Contains(err, c.in) {
			return c.name
		}
	}
	return other
}
