package verify

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// personal are attributes that tell who a caller is or what was sent.
var personal = []string{"client.address", "client.port", "network.peer.address", "network.peer.port", "net.peer.ip",
	"net.sock.peer.addr", "http.client_ip", "source.address", "enduser.id", "user.id", "http.request.body", "http.response.body"}

// secrets are texts that must not be found.
type secrets struct {
	texts []string
	known map[string]string // what was looked at already: most values come often
}

// minSecret is how long a text has to be: a shorter one can be a part of other words.
const minSecret = 8

func newSecrets(private []string) *secrets {
	s := &secrets{known: map[string]string{}}
	for _, p := range private {
		if len(p) >= minSecret && !slices.Contains(s.texts, p) {
			s.texts = append(s.texts, p)
		}
	}
	return s
}

// in returns the first that a text has, also as it is written in a URL, or "".
func (s *secrets) in(text string) string {
	if len(text) < minSecret {
		return ""
	}
	secret, ok := s.known[text]
	if !ok {
		secret = s.find(text)
		s.known[text] = secret
	}
	return secret
}

func (s *secrets) find(text string) string {
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		decoded = strings.NewReplacer("+", " ", "%20", " ").Replace(text)
	}
	for _, secret := range s.texts {
		if strings.Contains(text, secret) || strings.Contains(decoded, secret) {
			return secret
		}
	}
	return ""
}

// leaks returns what the spans of a trace tell that nobody may know.
func leaks(t traceOf, s *secrets) []string {
	var found []string
	look := func(sp *span, where string, list tags) {
		for _, kv := range list {
			if slices.Contains(personal, kv.Key) {
				found = append(found, fmt.Sprintf("trace %s: %v: %s %s = %s", sp.TraceID, sp, where, kv.Key, text(kv.Value)))
			}
			if secret := s.in(text(kv.Value)); secret != "" {
				found = append(found, fmt.Sprintf("trace %s: %v: %s %s has %q, which was sent", sp.TraceID, sp, where, kv.Key, secret))
			}
		}
	}
	for _, sp := range t {
		if secret := s.in(sp.OperationName); secret != "" {
			found = append(found, fmt.Sprintf("trace %s: %v: its name has %q, which was sent", sp.TraceID, sp, secret))
		}
		look(sp, "attribute", sp.Tags)
		look(sp, "resource attribute", sp.resource)
		for _, e := range sp.Logs {
			look(sp, "event attribute", e.Fields)
		}
	}
	return found
}
