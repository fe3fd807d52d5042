package verify

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"soundcheck/internal/jaegerapi"
)

// conventions adds violations in the spans of a trace. Environment is the services';
// an external album store may have any.
func (p *problems) conventions(t traceOf, environment string, storeElsewhere bool) {
	good := !slices.ContainsFunc(t, func(s *span) bool { return s.status() >= 500 })
	for _, s := range t {
		wrong := s.conventions(good)
		for _, key := range resourceAttributes {
			if s.resource.Text(key) == "" {
				wrong.add("its resource has no %s", key)
			}
		}
		if s.service == proxyService || s.service == storeService {
			e := s.resource.Text("deployment.environment.name")
			if e != environment && (e == "" || s.service == proxyService || !storeElsewhere) {
				wrong.add("deployment.environment.name is %q, want %q", e, environment)
			}
		}
		for _, what := range wrong {
			p.add("trace %s: %v: %s", s.TraceID, s, what)
		}
	}
}

// conventions returns the violations of a span. Good means that no server failed.
func (s *span) conventions(good bool) (wrong problems) {
	rule := ruleOf(s)
	if rule == nil {
		wrong.add("not declared in docs/telemetry.md")
		return wrong
	}
	if rule.waits {
		return nil
	}
	for _, key := range rule.attributes {
		if s.Tags.Text(key) == "" {
			wrong.add("no %s", key)
		}
	}
	want, why := false, "no server failed"
	if rule.errorFrom > 0 {
		method, route, _ := strings.Cut(s.OperationName, " ")
		if m := s.Tags.Text("http.request.method"); m != method {
			wrong.add("http.request.method is %q", m)
		}
		if r := s.Tags.Text("http.route"); r != route && rule.kind == "server" {
			wrong.add("http.route is %q", r)
		}
		noResponse := s.status() == 0 && rule.kind == "client"
		want, why = noResponse || s.status() >= rule.errorFrom, fmt.Sprintf("HTTP status %d", s.status())
	}
	if s.Failed() != want && (rule.errorFrom > 0 || good) {
		wrong.add("error status is %v, want %v: %s", s.Failed(), want, why)
	}
	return wrong
}

// secrets are texts that must not be in telemetry.
type secrets struct {
	texts []string
	known map[string]string // cache by text: most values are frequent
}

// minSecret is the min length of a text: a shorter one can be part of other words.
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

// in returns the first secret in a text, also URL-encoded, or "".
func (s *secrets) in(text string) string {
	if len(text) < minSecret {
		return ""
	}
	if secret, ok := s.known[text]; ok {
		return secret
	}
	decoded, err := url.QueryUnescape(text)
	if err != nil {
		decoded = strings.NewReplacer("+", " ", "%20", " ").Replace(text)
	}
	if i := slices.IndexFunc(s.texts, func(secret string) bool { return strings.Contains(text, secret) || strings.Contains(decoded, secret) }); i >= 0 {
		s.known[text] = s.texts[i]
	} else {
		s.known[text] = ""
	}
	return s.known[text]
}

// leaks adds the private data in the spans of a trace.
func (p *problems) leaks(t traceOf, s *secrets) {
	for _, sp := range t {
		if secret := s.in(sp.OperationName); secret != "" {
			p.add("trace %s: %v: its name contains %q, which was sent", sp.TraceID, sp, secret)
		}
		look := func(where string, list jaegerapi.Tags) {
			for _, kv := range list {
				if slices.Contains(personalAttributes, kv.Key) {
					p.add("trace %s: %v: %s %s = %s", sp.TraceID, sp, where, kv.Key, kv.Text())
				}
				if secret := s.in(kv.Text()); secret != "" {
					p.add("trace %s: %v: %s %s contains %q, which was sent", sp.TraceID, sp, where, kv.Key, secret)
				}
			}
		}
		look("attribute", sp.Tags)
		look("resource attribute", sp.resource)
		for _, e := range sp.Logs {
			look("event attribute", e.Fields)
		}
	}
}
