package cli

import (
	"fmt"
	"net/url"
	"strings"
)

// WithoutPassword returns a URL without its password and query, for messages. It accepts
// invalid URLs.
func WithoutPassword(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	if head, _, _ := strings.Cut(rest, "?"); strings.ContainsAny(head, "/@") || !strings.Contains(rest, "@") {
		rest = head
	} else { // likely a password with a ?
		rest, _, _ = strings.Cut(head, ":")
		rest += url[strings.LastIndex(url, "@"):]
		rest, _, _ = strings.Cut(rest, "?")
	}
	if at := strings.LastIndex(rest, "@"); at >= 0 { // the password can contain an @
		user, _, _ := strings.Cut(rest[:at], ":")
		rest = user + rest[at:]
	}
	return scheme + "://" + rest
}

// ParseURL reads the base URL of a server.
func ParseURL(s string) (string, error) {
	urls, err := ParseURLs(s)
	if err != nil {
		return "", err
	}
	if len(urls) > 1 {
		return "", fmt.Errorf("%q is more than one URL", s)
	}
	return urls[0], nil
}

// ParseURLs reads the base URLs of servers, separated by commas.
func ParseURLs(s string) ([]string, error) {
	var urls []string
	for part := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(part)
		switch {
		case err != nil && !strings.Contains(part, "://"): // url.Parse says "first path segment" of 127.0.0.1:8080
			return nil, fmt.Errorf("%q is not an http:// or https:// URL with a host", part)
		case err != nil:
			return nil, err
		case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
			return nil, fmt.Errorf("%q is not an http:// or https:// URL with a host", part)
		case u.RawQuery != "" || u.Fragment != "" || u.User != nil:
			return nil, fmt.Errorf("%q must not have a query, a fragment or a user", part)
		}
		base := strings.TrimSuffix(u.String(), "/")
		for _, other := range urls {
			if other == base {
				return nil, fmt.Errorf("%q is a duplicate", part)
			}
		}
		urls = append(urls, base)
	}
	return urls, nil
}
