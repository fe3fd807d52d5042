package terraform

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// module is a root module.
type module struct {
	name  string
	files map[string][]byte // *.tf and *.tftest.hcl, by their names
	// blocks of the top level, by their type and labels joined with a dot, such as resource.aws_vpc.lab.
	blocks   map[string]*hclsyntax.Block
	locals   map[string]hclsyntax.Expression
	problems []string // of reading
}

// root is deploy/terraform.
const root = "../../terraform"

func load(t *testing.T, name string) *module {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{"*.tf", "tests/*.tftest.hcl"} {
		paths, err := filepath.Glob(filepath.Join(root, name, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s has no %s: %v", name, pattern, err)
		}
		for _, path := range paths {
			if files[filepath.Base(path)], err = os.ReadFile(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	return parse(name, files)
}

// parse reads the files of a module.
func parse(name string, files map[string][]byte) *module {
	m := &module{name: name, files: files, blocks: map[string]*hclsyntax.Block{}, locals: map[string]hclsyntax.Expression{}}
	for file, text := range files {
		parsed, diags := hclsyntax.ParseConfig(text, file, hcl.InitialPos)
		for _, d := range diags {
			m.problems = append(m.problems, d.Error())
		}
		if parsed == nil || !strings.HasSuffix(file, ".tf") {
			continue
		}
		body := parsed.Body.(*hclsyntax.Body)
		for _, a := range body.Attributes {
			m.problems = append(m.problems, fmt.Sprintf("%s: argument %s outside of a block", a.Range(), a.Name))
		}
		for _, b := range body.Blocks {
			labels := map[string]int{"terraform": 0, "locals": 0, "provider": 1, "variable": 1, "output": 1, "resource": 2, "data": 2}
			want, known := labels[b.Type]
			if !known || len(b.Labels) != want {
				m.problems = append(m.problems, fmt.Sprintf("%s: block %s %q is not one of those of these modules", b.Range(), b.Type, b.Labels))
				continue
			}
			if b.Type == "locals" {
				for _, a := range b.Body.Attributes {
					if m.locals[a.Name] != nil {
						m.problems = append(m.problems, fmt.Sprintf("%s: local.%s is declared twice", a.Range(), a.Name))
					}
					m.locals[a.Name] = a.Expr
				}
				continue
			}
			key := strings.Join(append([]string{b.Type}, b.Labels...), ".")
			if m.blocks[key] != nil {
				m.problems = append(m.problems, fmt.Sprintf("%s: %s is declared twice", b.Range(), key))
			}
			m.blocks[key] = b
		}
	}
	return m
}

// of returns the blocks of a type, sorted by name.
func (m *module) of(kind string) (list []*hclsyntax.Block) {
	for key, b := range m.blocks {
		if strings.HasPrefix(key, kind+".") || key == kind {
			list = append(list, b)
		}
	}
	slices.SortFunc(list, func(a, b *hclsyntax.Block) int {
		return strings.Compare(strings.Join(a.Labels, "."), strings.Join(b.Labels, "."))
	})
	return list
}

// resources returns the resources of these types.
func (m *module) resources(types ...string) (list []*hclsyntax.Block) {
	for _, b := range m.of("resource") {
		if slices.Contains(types, b.Labels[0]) {
			list = append(list, b)
		}
	}
	return list
}

// nested returns the block at a path, such as settings.ip_configuration; nil if there is none. A dynamic block counts as its
// content.
func nested(body *hclsyntax.Body, path string) *hclsyntax.Body {
	if path == "" {
		return body
	}
	first, rest, _ := strings.Cut(path, ".")
	for _, b := range body.Blocks {
		if b.Type == first {
			return nested(b.Body, rest)
		}
		if b.Type == "dynamic" && b.Labels[0] == first && len(b.Body.Blocks) > 0 {
			return nested(b.Body.Blocks[0].Body, rest)
		}
	}
	return nil
}

// arg returns the argument at a path of nested blocks, such as vpc_config.subnet_ids; nil if there is none.
func arg(body *hclsyntax.Body, path string) *hclsyntax.Attribute {
	at := strings.LastIndex(path, ".")
	if inner := nested(body, path[:max(at, 0)]); inner != nil {
		return inner.Attributes[path[at+1:]]
	}
	return nil
}

// constant returns the value of an argument without references; cty.NilVal otherwise.
func constant(a *hclsyntax.Attribute) cty.Value {
	if a == nil {
		return cty.NilVal
	}
	v, diags := a.Expr.Value(nil)
	if diags.HasErrors() {
		return cty.NilVal
	}
	return v
}

// is reports whether an argument is a constant of this value.
func is(a *hclsyntax.Attribute, want cty.Value) bool {
	v := constant(a)
	return v != cty.NilVal && v.Type().Equals(want.Type()) && v.RawEquals(want)
}

// refers reports whether an argument is a reference to something, such as var.authorized_networks, and to nothing else.
func refers(a *hclsyntax.Attribute, to string) bool {
	if a == nil {
		return false
	}
	list := a.Expr.Variables()
	for _, t := range list {
		if name := address(t); name != to {
			return false
		}
	}
	return len(list) > 0
}

// address is the first part of a traversal that names something declared: var.NAME, local.NAME, data.TYPE.NAME, TYPE.NAME.
func address(t hcl.Traversal) string {
	parts := []string{t.RootName()}
	want := 2
	if parts[0] == "data" {
		want = 3
	}
	for _, step := range t[1:] {
		if a, ok := step.(hcl.TraverseAttr); ok && len(parts) < want {
			parts = append(parts, a.Name)
		}
	}
	return strings.Join(parts, ".")
}
