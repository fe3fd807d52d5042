package terraform

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// format reports files that "tofu fmt" would change. It formats as this library does, and changes some expressions besides.
func format(m *module) (problems []string) {
	for name, text := range m.files {
		if !bytes.Equal(hclwrite.Format(text), text) {
			problems = append(problems, name+": run tofu fmt")
		}
	}
	return problems
}

// functions are those that both programs have, of the ones in use.
var functions = []string{"alltrue", "can", "cidrnetmask", "cidrsubnet", "concat", "contains", "file", "fileset", "filesha256", "floor", "jsonencode", "join", "length",
	"merge", "regex", "sha256", "slice", "split", "substr", "tonumber", "toset", "tostring", "try", "values", "yamlencode"}

// references reports names that nothing declares, and what nothing refers to.
func references(m *module) (problems []string) {
	used := map[string]bool{}
	report := func(r hcl.Range, format string, args ...any) {
		problems = append(problems, r.String()+": "+fmt.Sprintf(format, args...))
	}
	var expression func(e hclsyntax.Expression, scope []string)
	expression = func(e hclsyntax.Expression, scope []string) {
		for _, t := range e.Variables() {
			name := t.RootName()
			if slices.Contains(scope, name) {
				continue
			}
			to := address(t)
			found := false
			switch name {
			case "each", "count", "path", "self":
				found = true
			case "var":
				found = m.blocks["variable."+strings.TrimPrefix(to, "var.")] != nil
			case "local":
				found = m.locals[strings.TrimPrefix(to, "local.")] != nil
			case "data":
				found = m.blocks[to] != nil
			default:
				found = m.blocks["resource."+to] != nil
			}
			used[to] = true
			if !found {
				report(t.SourceRange(), "%s is not declared", to)
			}
		}
		_ = hclsyntax.VisitAll(e, func(n hclsyntax.Node) hcl.Diagnostics {
			if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && !slices.Contains(functions, call.Name) {
				report(call.Range(), "function %s is not in the list of those that OpenTofu and Terraform have", call.Name)
			}
			return nil
		})
	}
	var body func(b *hclsyntax.Body, scope []string)
	body = func(b *hclsyntax.Body, scope []string) {
		for _, a := range b.Attributes {
			expression(a.Expr, scope)
		}
		for _, inner := range b.Blocks {
			switch inner.Type {
			case "lifecycle": // ignore_changes has names of arguments
				continue
			case "dynamic":
				for _, a := range inner.Body.Attributes {
					expression(a.Expr, scope)
				}
				for _, content := range inner.Body.Blocks {
					body(content.Body, append(slices.Clone(scope), inner.Labels[0]))
				}
			default:
				body(inner.Body, scope)
			}
		}
	}
	for key, b := range m.blocks {
		if strings.HasPrefix(key, "variable.") {
			// A validation refers to its variable, which is no use of it. The names in type are no references.
			before := used["var."+b.Labels[0]]
			for _, v := range b.Body.Blocks {
				each(v.Body, func(a *hclsyntax.Attribute) {
					for _, t := range a.Expr.Variables() {
						if address(t) != "var."+b.Labels[0] {
							report(t.SourceRange(), "a validation of %s refers to %s", b.Labels[0], address(t))
						}
					}
				})
				body(v.Body, nil)
			}
			used["var."+b.Labels[0]] = before
			continue
		}
		body(b.Body, nil)
	}
	for _, e := range m.locals {
		expression(e, nil)
	}
	for _, b := range m.of("variable") {
		if !used["var."+b.Labels[0]] {
			report(b.Range(), "variable %s is not used", b.Labels[0])
		}
	}
	for name := range m.locals {
		if !used["local."+name] {
			problems = append(problems, "local."+name+" is not used")
		}
	}
	for _, b := range m.of("data") {
		if !used[strings.Join(append([]string{"data"}, b.Labels...), ".")] {
			report(b.Range(), "data %s is not used", strings.Join(b.Labels, "."))
		}
	}
	return problems
}

// table is the table of the module's variables for its page.
func table(m *module) string {
	var b strings.Builder
	b.WriteString("| variable | default | description |\n| --- | --- | --- |\n")
	for _, v := range m.of("variable") {
		initial, description := "required", constant(v.Body.Attributes["description"])
		if a := v.Body.Attributes["default"]; a != nil {
			initial = "`" + string(a.Expr.Range().SliceBytes(m.files[a.Expr.Range().Filename])) + "`"
		}
		if description == cty.NilVal {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.Labels[0], initial, strings.ReplaceAll(description.AsString(), "|", `\|`))
	}
	return b.String()
}

// variables reports variables and outputs without a type or a description, and a page that describes others.
func variables(m *module, page string) (problems []string) {
	for _, b := range m.of("variable") {
		name := b.Labels[0]
		if b.Body.Attributes["type"] == nil {
			problems = append(problems, "variable "+name+" has no type")
		}
		if !is(b.Body.Attributes["nullable"], cty.False) {
			problems = append(problems, "variable "+name+": write nullable = false, or null replaces the default")
		}
		for _, v := range b.Body.Blocks {
			if v.Type != "validation" || v.Body.Attributes["condition"] == nil || v.Body.Attributes["error_message"] == nil {
				problems = append(problems, "variable "+name+": "+v.Type+" is not a validation with condition and error_message")
			}
		}
	}
	for _, b := range append(m.of("variable"), m.of("output")...) {
		if d := constant(b.Body.Attributes["description"]); d == cty.NilVal || d.Type() != cty.String || !strings.HasSuffix(d.AsString(), ".") {
			problems = append(problems, b.Type+" "+b.Labels[0]+" has no description that ends with a full stop")
		}
	}
	if want := table(m); !strings.Contains(page, want) {
		problems = append(problems, "the page has another table of variables, want\n"+want)
	}
	return problems
}

var exact = regexp.MustCompile(`^\d+\.\d+\.\d+$`)

// pinned reports providers without an exact version, and a lock file that does not match them.
func pinned(m *module, lock []byte) (problems []string) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	block := m.blocks["terraform"]
	if block == nil {
		return []string{"no block terraform"}
	}
	if !is(block.Body.Attributes["required_version"], cty.StringVal(">= 1.9.0")) {
		add(`required_version is not ">= 1.9.0", which OpenTofu 1.10 and Terraform 1.9 meet`)
	}
	locked := parseLock(lock, add)
	providers := map[string]bool{}
	for _, b := range block.Body.Blocks {
		if b.Type != "required_providers" {
			continue
		}
		for name, a := range b.Body.Attributes {
			providers[name] = true
			v := constant(a)
			if v == cty.NilVal || !v.Type().IsObjectType() || !v.Type().HasAttribute("source") || !v.Type().HasAttribute("version") {
				add("provider %s needs source and version", name)
				continue
			}
			source, version := v.GetAttr("source").AsString(), v.GetAttr("version").AsString()
			if !exact.MatchString(version) {
				add("provider %s has version %q, want an exact one", name, version)
			}
			for _, registry := range []string{"registry.opentofu.org/", "registry.terraform.io/"} {
				got, ok := locked[registry+source]
				if !ok && registry == "registry.opentofu.org/" {
					add("the lock file has no %s%s", registry, source)
				} else if ok && got != version {
					add("the lock file has version %s of %s%s, want %s", got, registry, source, version)
				}
				delete(locked, registry+source)
			}
		}
	}
	for address := range locked {
		add("the lock file has %s, which is not required", address)
	}
	for _, b := range append(m.of("resource"), m.of("data")...) {
		if name, _, _ := strings.Cut(b.Labels[0], "_"); !providers[name] && b.Labels[0] != "terraform_data" { // both programs have it
			add("%s: provider %s is not in required_providers", b.Labels[0], name)
		}
	}
	return problems
}

// parseLock reads a lock file: version by provider.
func parseLock(text []byte, add func(string, ...any)) map[string]string {
	versions := map[string]string{}
	parsed, diags := hclsyntax.ParseConfig(text, "lock", hcl.InitialPos)
	if diags.HasErrors() {
		add("lock file: %v", diags)
		return versions
	}
	for _, b := range parsed.Body.(*hclsyntax.Body).Blocks {
		name := b.Labels[0]
		version, constraints := constant(b.Body.Attributes["version"]), constant(b.Body.Attributes["constraints"])
		if version == cty.NilVal || constraints == cty.NilVal || !version.RawEquals(constraints) {
			add("lock file: %s has another version than its constraints", name)
			continue
		}
		versions[name] = version.AsString()
		kinds := map[string]int{}
		last := ""
		hashes := constant(b.Body.Attributes["hashes"])
		if hashes == cty.NilVal {
			add("lock file: %s has no hashes", name)
			continue
		}
		for _, v := range hashes.AsValueSlice() {
			hash := v.AsString()
			kind, sum, _ := strings.Cut(hash, ":")
			var raw []byte
			var err error
			if kind == "h1" {
				raw, err = base64.StdEncoding.DecodeString(sum)
			} else if kind == "zh" {
				raw, err = hex.DecodeString(sum)
			}
			if err != nil || len(raw) != 32 || hash <= last {
				add("lock file: %s: %q is no SHA-256 hash, or not in order", name, hash)
			}
			kinds[kind]++
			last = hash
		}
		if kinds["h1"] < 4 || kinds["zh"] < 4 { // Linux and macOS, amd64 and arm64
			add("lock file: %s has %d h1 and %d zh hashes, want four platforms", name, kinds["h1"], kinds["zh"])
		}
	}
	return versions
}
