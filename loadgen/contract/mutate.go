package contract

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"soundcheck/loadgen/contract/values"
)

// mutation breaks a draft in one way.
type mutation struct {
	kind  string // as in "below the minimum"
	where string
	apply func(d *draft)
}

var errNothing = errors.New("no invalid request was found")

// invalid makes a request that violates the contract in one way.
func (c *Contract) invalid(o *Operation, v *values.Values, learned []string) (*Request, error) {
	for range attempts {
		_, d, err := c.make(o, v, learned, nil)
		if err != nil {
			return nil, err
		}
		m, ok := d.mutation()
		if !ok {
			continue
		}
		m.apply(d)
		r, err := d.encode()
		if err != nil {
			continue
		}
		if err := c.validate(r); err != nil {
			r.Invalid, r.Reason = m.where+": "+m.kind, reason(err)
			return r, nil
		}
	}
	return nil, errNothing
}

// mutation chooses one of the ways to break a draft: first the kind, then where.
func (d *draft) mutation() (mutation, bool) {
	byKind := map[string][]mutation{}
	for _, m := range append(d.parameters(), d.bodies()...) {
		byKind[m.kind] = append(byKind[m.kind], m)
	}
	if len(byKind) == 0 {
		return mutation{}, false
	}
	kinds := slices.Sorted(maps.Keys(byKind))
	list := byKind[kinds[d.v.IntN(len(kinds))]]
	return list[d.v.IntN(len(list))], true
}

// parameters are the ways to break a parameter.
func (d *draft) parameters() (list []mutation) {
	for i, p := range d.o.params {
		if p.Off || p.Opaque {
			continue
		}
		where := p.In + " " + p.Name
		if p.Required && p.In != openapi3.ParameterInPath {
			list = append(list, mutation{"missing required parameter", where, func(d *draft) { d.sent[i] = false }})
		}
		known := p.Index >= 0 && p.Index < len(d.learned)
		if p.JSON || p.In == openapi3.ParameterInPath && p.Style.Style != openapi3.SerializationSimple || known && !p.Numeric() {
			continue
		}
		breaks, texts := p.Wrong(d.values[i], d.v)
		for k, b := range breaks {
			list = append(list, mutation{b.Kind, where, func(d *draft) {
				d.sent[i], d.raw[i] = true, texts[k]
				if known {
					d.learned = slices.Clone(d.learned[:p.Index])
				}
			}})
		}
	}
	return list
}

// bodies are the ways to break the body.
func (d *draft) bodies() (list []mutation) {
	b := d.o.body
	if b == nil || !d.hasBody {
		return nil
	}
	if b.Required {
		list = append(list, mutation{"missing body", "body", func(d *draft) { d.hasBody = false }})
	}
	list = append(list, mutation{"unknown content type", "body", func(d *draft) { d.kind = "application/x-unknown" }})
	if !values.IsJSON(values.Plain(b.MediaType)) {
		return list
	}
	list = append(list, mutation{"malformed JSON", "body", func(d *draft) {
		content, kind, err := b.Encode(d.body, d.v)
		if err == nil && len(content) > 1 {
			d.content, d.kind, d.hasBody = content[:len(content)-1], kind, false
			return
		}
		d.content, d.kind, d.hasBody = []byte("{"), b.MediaType, false
	}})
	for _, x := range b.Breaks(d.body, d.v, func(x any) { d.body = x }) {
		list = append(list, mutation{x.Kind, x.Where, func(*draft) { x.Apply() }})
	}
	return list
}

// reason is why kin-openapi rejects a request, in a line.
func reason(err error) string {
	text := short(err).Error()
	if s := (*openapi3.SchemaError)(nil); errors.As(err, &s) {
		_, text = violated(s)
		if at := pointer(s); at != "" {
			text = at + ": " + text
		}
	}
	text, _, _ = strings.Cut(text, "\n")
	return text
}
