package contract

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"soundcheck/loadgen/contract/values"
)

// learning is where the response of an operation has the ids of a pool.
type learning struct {
	key     string
	fields  []string // normalized names of the property, the best first
	creates bool
}

// link is a link of a response: it has an id of another operation.
type link struct {
	status string
	key    string
	values []any // expressions or constants, by parameter of the path
}

// relate finds which operations bring ids for which others.
func (c *Contract) relate() {
	for _, o := range c.Operations {
		for _, key := range slices.Sorted(mapKeys(c.pools)) {
			if l, ok := o.learning(key, c.pools[key]); ok {
				o.learns = append(o.learns, l)
			}
		}
		c.links(o)
	}
}

// learning returns where the responses of an operation have ids of a pool: /albums and /albums/search have those of
// /albums/{id}.
func (o *Operation) learning(key string, t *template) (l learning, ok bool) {
	if o.Method != http.MethodGet && o.Method != http.MethodPost && o.Method != http.MethodPut {
		return l, false
	}
	k := strings.Count(key, "{}")
	collection := strings.TrimSuffix(strings.TrimSuffix(key, "{}"), "/")
	path := parameter.ReplaceAllString(o.Path, "{}")
	rest, below := strings.CutPrefix(path, collection)
	if !below || rest != "" && (rest[0] != '/' || strings.Contains(rest, "{") || collection == "") || len(o.path.names) != k-1 {
		return l, false
	}
	name := values.Normalized(t.names[k-1])
	l = learning{key: key, fields: []string{name}, creates: o.Method == http.MethodPost && strings.TrimSuffix(rest, "/") == ""}
	if strings.HasSuffix(name, "id") {
		l.fields = append(l.fields, "id", singular(collection)+"id")
	}
	return l, true
}

// singular is the normalized singular of the last segment of a path.
func singular(path string) string {
	s := values.Normalized(path[strings.LastIndexByte(path, '/')+1:])
	switch {
	case strings.HasSuffix(s, "ies"):
		return s[:len(s)-3] + "y"
	case strings.HasSuffix(s, "ses"), strings.HasSuffix(s, "xes"), strings.HasSuffix(s, "ches"):
		return s[:len(s)-2]
	}
	return strings.TrimSuffix(s, "s")
}

// links prepares the links of an operation's responses. A link needs all parameters of the other operation's path.
func (c *Contract) links(o *Operation) {
	for status, r := range o.responses {
		for _, name := range slices.Sorted(mapKeys(r.Links)) {
			l := r.Links[name].Value
			if l == nil {
				continue
			}
			i := slices.IndexFunc(c.Operations, func(t *Operation) bool {
				return l.OperationID != "" && t.op.OperationID == l.OperationID || l.OperationRef == reference(t)
			})
			if i < 0 || len(c.Operations[i].path.names) == 0 {
				continue
			}
			target := c.Operations[i].path
			made := link{status: status, key: target.key(len(target.names))}
			for _, p := range target.names {
				value, has := l.Parameters[p]
				if !has {
					value, has = l.Parameters["path."+p]
				}
				if has {
					made.values = append(made.values, value)
				}
			}
			if len(made.values) == len(target.names) {
				o.links = append(o.links, made)
			}
		}
	}
}

// reference is how a link refers to an operation by its place in the document.
func reference(o *Operation) string {
	return "#/paths/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(o.Path) + "/" + strings.ToLower(o.Method)
}

// maxLearned is how many ids of one response are learned.
const maxLearned = 100

// learn stores the ids and the next page of a response.
func (g *Generator) learn(r *Request, base *url.URL, status int, header http.Header, value any) {
	o := r.Operation
	for _, u := range r.used {
		switch {
		case status == http.StatusNotFound || status == http.StatusGone:
			u.pool.forget(u.values)
		case o.removes() && status >= 300:
			u.pool.giveBack(u.values)
		}
	}
	if r.Invalid != "" || status < 200 || status >= 300 {
		return
	}
	if at := header.Get("Location"); at != "" {
		g.located(base, at, status == http.StatusCreated || status == http.StatusAccepted)
	}
	g.nextPage(o, base, header)
	for _, l := range o.learns {
		left := maxLearned
		extract(value, l.fields, 0, func(text string) bool {
			g.pools[l.key].add(append(slices.Clone(r.path), text), l.creates || status == http.StatusCreated)
			left--
			return left > 0
		})
	}
	for _, l := range o.links {
		if documented := o.response(status); documented == nil || documented != o.responses[l.status] {
			continue
		}
		var values []string
		for _, e := range l.values {
			if text, ok := evaluate(e, r, header, value); ok {
				values = append(values, text)
			}
		}
		if len(values) == len(l.values) {
			g.pools[l.key].add(values, o.Method == http.MethodPost)
		}
	}
}

// located stores the id in a Location.
func (g *Generator) located(base *url.URL, at string, created bool) {
	u, err := url.Parse(at)
	if err != nil {
		return
	}
	path := strings.TrimPrefix(u.EscapedPath(), base.EscapedPath())
	for key, t := range g.c.pools {
		if t.end() != "" {
			continue
		}
		if values := t.values(path); values != nil && !slices.ContainsFunc(g.literal, func(o *Operation) bool { return o.Path == path }) {
			g.pools[key].add(values, created)
		}
	}
}

// nextPage stores the query of the next page, if the operation has parameters that only responses have.
func (g *Generator) nextPage(o *Operation, base *url.URL, header http.Header) {
	p := g.pages[o]
	if p == nil {
		return
	}
	for _, line := range header.Values("Link") {
		for part := range strings.SplitSeq(line, ",") {
			target, rest, ok := strings.Cut(strings.TrimSpace(part), ">")
			if !ok || !strings.HasPrefix(target, "<") || !nextRelation.MatchString(rest) {
				continue
			}
			if u, err := url.Parse(target[1:]); err == nil && u.RawQuery != "" {
				p.add(u.RawQuery)
			}
		}
	}
}

// extract calls found with the ids in a response: of an object, of the objects of a list, or of a list in an object.
// Found returns false to end it.
func extract(value any, fields []string, depth int, found func(string) bool) bool {
	switch x := value.(type) {
	case []any:
		for _, item := range x {
			if !extract(item, fields, depth, found) {
				return false
			}
		}
	case map[string]any:
		for _, field := range fields {
			v, plural := property(x, field)
			if text, ok := values.Primitive(v); ok && text != "" {
				return found(text)
			}
			if list, ok := plural.([]any); ok {
				for _, item := range list {
					if text, ok := values.Primitive(item); ok && !found(text) {
						return false
					}
				}
				return true
			}
		}
		if depth >= 2 {
			return true
		}
		for _, name := range slices.Sorted(mapKeys(x)) {
			if !extract(x[name], fields, depth+1, found) {
				return false
			}
		}
	}
	return true
}

// property returns the property with a normalized name, and the one of its plural.
func property(m map[string]any, name string) (value, plural any) {
	for key, v := range m {
		if len(key) < len(name) {
			continue
		}
		switch values.Normalized(key) {
		case name:
			value = v
		case name + "s":
			plural = v
		}
	}
	return value, plural
}

// evaluate returns the value of a runtime expression of a link.
func evaluate(e any, r *Request, header http.Header, value any) (string, bool) {
	text, ok := e.(string)
	if !ok || !strings.HasPrefix(text, "$") {
		return values.Primitive(e)
	}
	if at, ok := strings.CutPrefix(text, "$response.body#"); ok {
		return values.Primitive(lookup(value, at))
	}
	if name, ok := strings.CutPrefix(text, "$response.header."); ok {
		v := header.Get(name)
		return v, v != ""
	}
	if at, ok := strings.CutPrefix(text, "$request.body#"); ok {
		sent, err := decode(r.Body)
		if err != nil {
			return "", false
		}
		return values.Primitive(lookup(sent, at))
	}
	if name, ok := strings.CutPrefix(text, "$request.path."); ok {
		if i := slices.Index(r.Operation.path.names, name); i >= 0 {
			return r.path[i], true
		}
	}
	if name, ok := strings.CutPrefix(text, "$request.query."); ok {
		if u, err := url.Parse(r.Path); err == nil && u.Query().Has(name) {
			return u.Query().Get(name), true
		}
	}
	return "", false
}

// lookup returns the value at a JSON pointer; nil: there is none.
func lookup(value any, at string) any {
	for token := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		token = strings.NewReplacer("~1", "/", "~0", "~").Replace(token)
		switch x := value.(type) {
		case map[string]any:
			value = x[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(x) {
				return nil
			}
			value = x[i]
		default:
			return nil
		}
	}
	return value
}

// removes reports whether the operation deletes the object of its path.
func (o *Operation) removes() bool {
	return o.deletes && len(o.path.names) > 0 && o.path.end() == ""
}
