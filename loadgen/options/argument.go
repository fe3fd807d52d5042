package options

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"soundcheck/loadgen/targets"
)

// withoutUser removes the user information of a URL, and nothing else.
func withoutUser(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return scheme + "://" + rest[strings.LastIndexByte(rest[:end], '@')+1:]
}

// shown is a URL in a message.
func shown(address string) string {
	if strings.Contains(address, "://") {
		return withoutUser(address)
	}
	return address
}

// hostPattern matches what was meant to be a URL without its scheme.
var hostPattern = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9-]*(\.[A-Za-z0-9-]+)+|localhost|[0-9]+(\.[0-9]+){3}|\[[0-9a-fA-F:]+\]|[A-Za-z][A-Za-z0-9-]*:[0-9]+|:[0-9]+)(:[0-9]+)?([/?].*)?$`)

// IsURL reports whether a word is a URL, or one without its scheme or host.
func IsURL(word string) bool {
	return word[0] == '/' || strings.Contains(word, "://") || hostPattern.MatchString(word)
}

// readWords checks the arguments: a URL or, if paths is true, a path.
func (f *Flags) readWords(words []string) error {
	f.words = words
	if len(words) == 0 {
		return nil
	}
	word := words[0]
	path := strings.HasPrefix(word, "/")
	switch {
	case f.paths && !path:
		return f.Errorf("unexpected argument %q: a path of both services, as in /api/items?page=2", shown(word))
	case path && !f.paths, !path && !strings.Contains(word, "://") && hostPattern.MatchString(word):
		return f.Errorf("%q is not a URL: it begins with http:// or https://, as in http://%s", word, withHost(word))
	case word == "capacity":
		return f.Errorf("capacity is the first word after the command: see capacity -h")
	case !path && !strings.Contains(word, "://"):
		return f.Errorf("unexpected argument %q", word)
	case len(words) > 1 && strings.Contains(words[1], "://"):
		return f.Errorf("one URL is expected, and %s is another one: -targets sends to several", shown(words[1]))
	case len(words) > 1:
		return f.Errorf("unexpected argument %q", words[1])
	}
	return nil
}

// withHost completes the rest of a URL.
func withHost(rest string) string {
	if rest[0] == '/' || rest[0] == ':' {
		return "localhost" + rest
	}
	return rest
}

// Address returns the URL or path of the command line; "": none.
func (f *Flags) Address() string {
	if len(f.words) == 0 {
		return ""
	}
	return f.words[0]
}

// Secrets are the values of flags that are secrets, for the environment, and their names.
func (f *Flags) Secrets() (values map[string]string) {
	values = map[string]string{}
	r := &f.request
	headers := slices.Clone(r.headers.list)
	if u, err := url.Parse(f.Address()); err == nil && u.User != nil {
		password, _ := u.User.Password()
		headers = append(headers, "Authorization: "+targets.BasicAuth(u.User.Username(), password))
	}
	for name, value := range map[string]string{"H": strings.Join(headers, "\n"), "basic-auth": r.basicAuth, "body": r.body} {
		if value != "" {
			values[name] = value
		}
	}
	return values
}

// PlainAddress returns Address without user information.
func (f *Flags) PlainAddress() string { return shown(f.Address()) }
