package values

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"
)

// Body is the body of an operation's requests, prepared: of one of its media types.
type Body struct {
	MediaType string
	Media     *openapi3.MediaType
	Node      *Node
	Required  bool
	encode    func(b *Body, value any, v *Values) (content []byte, contentType string, err error)
}

// IsJSON reports whether a media type is JSON.
func IsJSON(mediaType string) bool {
	return mediaType == "application/json" || strings.HasPrefix(mediaType, "application/") && strings.HasSuffix(mediaType, "+json")
}

// Plain is a media type without parameters.
func Plain(mediaType string) string {
	mediaType, _, _ = strings.Cut(mediaType, ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}

// NewBody prepares a body: of JSON, if the operation takes it, else of a form, else of text. Nil: the operation has no
// body.
func NewBody(ref *openapi3.RequestBodyRef, c *Compiler) (*Body, error) {
	if ref == nil || ref.Value == nil || len(ref.Value.Content) == 0 {
		return nil, nil
	}
	b := &Body{Required: ref.Value.Required}
	best := 0
	for _, name := range slices.Sorted(maps.Keys(ref.Value.Content)) {
		m, mediaType := ref.Value.Content[name], Plain(name)
		if m == nil {
			m = new(openapi3.MediaType)
		}
		text := m.Schema != nil && m.Schema.Value != nil && m.Schema.Value.Type.Is(openapi3.TypeString)
		rank, encode, sent := 0, encodeText, name
		switch {
		case mediaType == "application/json":
			rank, encode = 6, encodeJSON
		case IsJSON(mediaType):
			rank, encode = 5, encodeJSON
		case mediaType == "application/x-www-form-urlencoded":
			rank, encode = 4, encodeForm
		case mediaType == "multipart/form-data":
			rank, encode = 3, encodeMultipart
		case (mediaType == "*/*" || mediaType == "application/*") && !text:
			rank, encode, sent = 2, encodeJSON, "application/json"
		case text && !strings.Contains(mediaType, "*"):
			rank = 1
		case text:
			rank, sent = 1, "application/octet-stream"
		}
		if rank > best {
			best, b.MediaType, b.Media, b.encode = rank, sent, m, encode
			b.Node = c.node(m.Schema, "body", 0)
		}
	}
	if best == 0 {
		err := fmt.Errorf("request bodies are made of JSON, forms and text, not of %s", strings.Join(slices.Sorted(maps.Keys(ref.Value.Content)), ", "))
		if b.Required {
			return nil, err
		}
		return nil, nil
	}
	return b, nil
}

func encodeJSON(b *Body, value any, _ *Values) ([]byte, string, error) {
	content, err := json.Marshal(value)
	return content, b.MediaType, err
}

func encodeText(b *Body, value any, _ *Values) ([]byte, string, error) {
	s, ok := value.(string)
	if !ok || s == "" {
		return nil, "", errors.New("no text")
	}
	return []byte(s), b.MediaType, nil
}

// fields are the properties of a form.
func fields(value any) (map[string]any, error) {
	m, ok := value.(map[string]any)
	if !ok {
		return nil, errors.New("a form that is no object")
	}
	for name, x := range m {
		if x == nil {
			delete(m, name)
		}
	}
	return m, nil
}

func encodeForm(b *Body, value any, _ *Values) ([]byte, string, error) {
	m, err := fields(value)
	if err != nil {
		return nil, "", err
	}
	var pairs []Pair
	for _, name := range slices.Sorted(maps.Keys(m)) {
		p := &Param{Parameter: &openapi3.Parameter{Name: name, In: openapi3.ParameterInQuery}, Style: b.Media.Encoding[name].SerializationMethod()}
		_, more, ok := p.Encode(m[name])
		if !ok {
			return nil, "", fmt.Errorf("field %s cannot be encoded", name)
		}
		pairs = append(pairs, more...)
	}
	return []byte(QueryOf(pairs)), b.MediaType, nil
}

func encodeMultipart(b *Body, value any, v *Values) ([]byte, string, error) {
	m, err := fields(value)
	if err != nil {
		return nil, "", err
	}
	var out bytes.Buffer
	w := multipart.NewWriter(&out)
	if err := w.SetBoundary(fmt.Sprintf("part-%016x", v.r.Uint64())); err != nil {
		return nil, "", err
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list, repeated := m[name].([]any)
		if !repeated {
			list = []any{m[name]}
		}
		for _, x := range list {
			if err := b.part(w, name, x); err != nil {
				return nil, "", err
			}
		}
	}
	err = w.Close()
	return out.Bytes(), w.FormDataContentType(), err
}

// part writes a part of a form: a file, if its property is binary.
func (b *Body) part(w *multipart.Writer, name string, x any) error {
	header := textproto.MIMEHeader{"Content-Disposition": {fmt.Sprintf("form-data; name=%q", name)}}
	content, ok := Primitive(x)
	if !ok {
		text, err := json.Marshal(x)
		if err != nil {
			return err
		}
		content = string(text)
		header.Set("Content-Type", "application/json")
	}
	if b.binary(name) {
		header.Set("Content-Disposition", fmt.Sprintf("form-data; name=%q; filename=%q", name, name+".bin"))
		header.Set("Content-Type", "application/octet-stream")
	}
	if e := b.Media.Encoding[name]; e != nil && e.ContentType != "" {
		kind, _, _ := strings.Cut(e.ContentType, ",")
		header.Set("Content-Type", strings.ReplaceAll(kind, "*", "png"))
	}
	p, err := w.CreatePart(header)
	if err == nil {
		_, err = p.Write([]byte(content))
	}
	return err
}

// binary reports whether a property of a form is a file, or files.
func (b *Body) binary(name string) bool {
	for _, p := range b.Node.props {
		if p.name == name {
			n := p.node
			if n.items != nil {
				n = n.items
			}
			return n.schema.Format == "binary"
		}
	}
	return false
}

// Encode returns the body of a value, and its media type.
func (b *Body) Encode(value any, v *Values) ([]byte, string, error) { return b.encode(b, value, v) }
