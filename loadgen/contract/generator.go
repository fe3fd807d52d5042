package contract

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"soundcheck/loadgen/contract/values"
)

// nextRelation matches the parameters of a link to the next page.
var nextRelation = regexp.MustCompile(`(?i);\s*rel="?([^";]*\s)?next(\s[^";]*)?"?\s*(;|$)`)

// Generator makes the requests of a run to one service. Its methods are called from many goroutines.
type Generator struct {
	c       *Contract
	seed    uint64
	invalid float64
	order   []*Operation // of one round
	broken  []*Operation // of order, those that have invalid requests
	literal []*Operation // whose path has no parameter
	pools   map[string]*pool
	pages   map[*Operation]*pages
	refs    map[string]string // normalized name of a property or parameter → pool
}

// NewGenerator returns the generator of a mix, whose share of invalid requests is invalid. Weights are by the names of
// operations.
func (c *Contract) NewGenerator(seed uint64, weights map[string]int, invalid float64) *Generator {
	g := &Generator{c: c, seed: seed, invalid: invalid, pools: map[string]*pool{}, pages: map[*Operation]*pages{}, refs: map[string]string{}}
	for _, o := range c.Operations {
		for range weights[o.Name] {
			g.order = append(g.order, o)
		}
		if len(o.path.names) == 0 {
			g.literal = append(g.literal, o)
		}
		if slices.ContainsFunc(o.params, func(p *values.Param) bool { return p.Opaque }) {
			g.pages[o] = new(pages)
		}
	}
	r := rand.New(rand.NewPCG(seed, 2))
	r.Shuffle(len(g.order), func(i, j int) { g.order[i], g.order[j] = g.order[j], g.order[i] })
	for _, o := range g.order {
		if o.breakable {
			g.broken = append(g.broken, o)
		}
	}
	for key, t := range c.pools {
		g.pools[key] = newPool()
		k := strings.Count(key, "{}")
		if name := values.Normalized(t.names[k-1]); name != "id" {
			g.refs[name] = key
		}
		g.refs[singular(strings.TrimSuffix(strings.TrimSuffix(key, "{}"), "/"))+"id"] = key
	}
	for _, o := range c.Operations {
		if weights[o.Name] > 0 {
			g.relate(o)
		}
	}
	return g
}

// relate makes an operation one of those that bring ids of pools.
func (g *Generator) relate(o *Operation) {
	if o.removes() {
		g.pools[o.path.key(len(o.path.names))].deletes = true
	}
	add := func(key string, creates bool) {
		p := g.pools[key]
		switch {
		case slices.Contains(p.creators, o) || slices.Contains(p.listers, o):
		case creates:
			p.creators = append(p.creators, o)
		case o.Method == http.MethodGet:
			p.listers = append(p.listers, o)
		}
	}
	for _, l := range o.learns {
		add(l.key, l.creates)
	}
	for _, l := range o.links {
		add(l.key, o.Method == http.MethodPost)
	}
}

// Request returns request n.
func (g *Generator) Request(n uint64) (*Request, error) {
	v := values.New(g.seed, n, values.Some)
	v.Known = func(name string) (string, bool) {
		p := g.pools[g.refs[name]]
		if p == nil {
			return "", false
		}
		key, ok := p.pick(v.Unit())
		return key[strings.LastIndexByte(key, 0)+1:], ok
	}
	if g.invalid > 0 && len(g.broken) > 0 && v.Unit() < g.invalid {
		for i := range uint64(len(g.broken)) {
			o := g.broken[(n+i)%uint64(len(g.broken))]
			var learned []string
			if !o.deletes {
				learned, _ = g.pick(o, v)
			}
			if r, err := g.c.invalid(o, v, learned); err == nil {
				return r, nil
			}
		}
	}
	o, learned, used := g.resolve(g.order[n%uint64(len(g.order))], v, n)
	r, _, err := g.c.make(o, v, learned, used)
	if err != nil && len(learned) > 0 { // what was learned is not valid here
		learned = nil
		r, _, err = g.c.make(o, v, nil, nil)
	}
	if err != nil {
		return nil, err
	}
	r.Unknown = len(learned) < len(o.path.names)
	if p := g.pages[o]; p != nil && v.Chance(2) {
		if query := p.take(); query != "" {
			page := *r
			path, _, _ := strings.Cut(r.Path, "?")
			if page.Path = path + "?" + query; g.c.validate(&page) == nil {
				return &page, nil
			}
		}
	}
	return r, nil
}

// pick returns the values of the path's parameters that responses had: all of them, those of its parents, or none.
func (g *Generator) pick(o *Operation, v *values.Values) (learned []string, used []id) {
	for k := len(o.path.names); k > 0; k-- {
		p := g.pools[o.path.key(k)]
		if p == nil {
			continue
		}
		if key, ok := p.pick(v.Unit()); ok {
			return strings.Split(key, separator), []id{{p, key}}
		}
	}
	return nil, nil
}

// maxNested is how many operations in a row can need ids of each other.
const maxNested = 4

// resolve returns the operation to send, with ids for its path: until there is an id, one that brings it.
func (g *Generator) resolve(o *Operation, v *values.Values, n uint64) (*Operation, []string, []id) {
	for range maxNested {
		if len(o.path.names) == 0 {
			return o, nil, nil
		}
		p := g.pools[o.path.key(len(o.path.names))]
		if p.ready(o.removes()) {
			break
		}
		other := p.substitute(n, o.removes())
		if other == nil || other == o {
			break
		}
		o = other
	}
	if o.removes() {
		p := g.pools[o.path.key(len(o.path.names))]
		if key, ok := p.take(); ok {
			return o, strings.Split(key, separator), []id{{p, key}}
		}
		if len(o.path.names) > 1 { // of a parent that exists
			k := len(o.path.names) - 1
			if p := g.pools[o.path.key(k)]; p != nil {
				if key, ok := p.pick(v.Unit()); ok {
					return o, strings.Split(key, separator), nil
				}
			}
		}
		return o, nil, nil
	}
	learned, used := g.pick(o, v)
	if len(learned) < len(o.path.names) {
		used = nil // a 404 is not of the parent
	}
	return o, learned, used
}

// Respond takes a response to a request: it learns ids, and returns how the response violates the contract. Content
// returns the whole body.
func (g *Generator) Respond(r *Request, base *url.URL, status int, header http.Header, content func() ([]byte, error)) *Failure {
	value, failure := g.c.check(r, status, header, content)
	g.learn(r, base, status, header, value)
	return failure
}
