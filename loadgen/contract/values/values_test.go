package values

import (
	"testing"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
)

// Strings match their pattern, and have its lengths.
func TestPattern(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern     string
		least, most int
	}{
		{"^[a-z]+$", 0, 0}, {"^[a-z]+$", 40, 40}, {"^[a-z]*$", 100, 120}, {"[0-9]{3}-[0-9]{4}", 8, 8}, {`^\d{2,5}(\.\d+)?$`, 0, 6},
		{"^(red|green|blue)$", 4, 5}, {`^[^a-z]{3}$`, 0, 3}, {`^\p{L}+$`, 2, 4}, {`^.{16}$`, 0, 0}, {"^[А-я]{4}$", 4, 4}, {`\w+@\w+\.com`, 0, 0}, {"^[A-Za-z0-9_-]{16}$", 0, 0},
		{`^\u0041{3}$`, 3, 3}, {"", 3, 3}, {"^$", 0, 0}, {"^a?b*c{0,2}$", 1, 3},
	} {
		p, err := compilePattern(tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for n := range uint64(50) {
			v := New(1, n, Some)
			s, ok := p.generate(v.r, tt.least, tt.most)
			count := utf8.RuneCountInString(s)
			if tt.pattern == "" && !ok {
				continue // nothing says what is in it
			}
			if !ok || !p.re.MatchString(s) || count < tt.least || tt.most > 0 && count > tt.most {
				t.Errorf("%s, %d to %d characters: %q, %t", tt.pattern, tt.least, tt.most, s, ok)
				break
			}
		}
	}
}

// Numbers keep to bounds that leave little room.
func TestNumbers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`{"type":"integer","minimum":5,"maximum":5}`, `{"type":"integer","minimum":-3,"exclusiveMinimum":true,"maximum":-2}`, `{"type":"integer","maximum":-7}`,
		`{"type":"integer","minimum":4000000000}`, `{"type":"integer","format":"int32","minimum":2147483647}`, `{"type":"integer","multipleOf":7,"minimum":50,"maximum":60}`,
		`{"type":"number","minimum":0.001,"maximum":0.002}`, `{"type":"number","minimum":0,"exclusiveMinimum":true,"maximum":0.01}`, `{"type":"number","multipleOf":0.01,"minimum":1,"maximum":2}`,
		`{"type":"number","maximum":-1e9}`, `{"type":"integer","minimum":9007199254740993,"maximum":9007199254740999}`, `{"type":"number"}`,
	} {
		s := new(openapi3.Schema)
		if err := s.UnmarshalJSON([]byte(text)); err != nil {
			t.Fatal(err)
		}
		n := NewCompiler().of(s, "x", 0)
		for i := range uint64(50) {
			if x, ok := New(1, i, Some).value(n, 0); !ok || s.VisitJSON(x) != nil {
				t.Errorf("%s: %v, %t", text, x, ok)
				break
			}
		}
	}
}

// Strings have values by format and name, and their lengths.
func TestStrings(t *testing.T) {
	t.Parallel()
	for format := range formats {
		s := &openapi3.Schema{Type: &openapi3.Types{"string"}, Format: format}
		if x, ok := New(1, 1, Some).value(NewCompiler().of(s, "x", 0), 0); !ok || x == "" || s.VisitJSON(x) != nil {
			t.Errorf("%s: %v, %t", format, x, ok)
		}
	}
	for name := range named {
		for _, length := range []uint64{1, 3, 40} {
			s := &openapi3.Schema{Type: &openapi3.Types{"string"}, MinLength: length, MaxLength: &length}
			if x, ok := New(1, 1, Some).value(NewCompiler().of(s, name, 0), 0); !ok || s.VisitJSON(x) != nil {
				t.Errorf("%s with %d characters: %v, %t", name, length, x, ok)
			}
		}
	}
}

// A schema that needs itself has no value; one that may have itself has.
func TestRecursion(t *testing.T) {
	t.Parallel()
	never := &openapi3.Schema{Type: &openapi3.Types{"object"}, Required: []string{"a"}}
	never.Properties = openapi3.Schemas{"a": openapi3.NewSchemaRef("", never)}
	if x, ok := New(1, 1, Some).value(NewCompiler().of(never, "x", 0), 0); ok {
		t.Errorf("%v", x)
	}
	tree := &openapi3.Schema{Type: &openapi3.Types{"object"}}
	tree.Properties = openapi3.Schemas{"a": openapi3.NewSchemaRef("", tree), "b": openapi3.NewSchemaRef("", tree)}
	for _, g := range []Generation{Some, None, All} {
		if x, ok := New(1, 1, g).value(NewCompiler().of(tree, "x", 0), 0); !ok || tree.VisitJSON(x) != nil {
			t.Errorf("%v", x)
		}
	}
}
