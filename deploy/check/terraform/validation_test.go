package terraform

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	"github.com/hashicorp/hcl/v2/ext/typeexpr"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// inValidations are the functions that validations use, as OpenTofu and Terraform have them.
var inValidations = map[string]function.Function{
	"can": tryfunc.CanFunc, "try": tryfunc.TryFunc, "contains": stdlib.ContainsFunc, "floor": stdlib.FloorFunc, "length": stdlib.LengthFunc,
	"regex": stdlib.RegexFunc, "split": stdlib.SplitFunc, "tonumber": stdlib.MakeToFunc(cty.Number), "values": stdlib.ValuesFunc,
	"alltrue": function.New(&function.Spec{
		Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}},
		Type:   function.StaticReturnType(cty.Bool),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			for _, v := range args[0].AsValueSlice() {
				if v.IsNull() || v.False() {
					return cty.False, nil
				}
			}
			return cty.True, nil
		},
	}),
	"cidrnetmask": function.New(&function.Spec{
		Params: []function.Parameter{{Name: "prefix", Type: cty.String}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			prefix, err := netip.ParsePrefix(args[0].AsString())
			if err == nil && !prefix.Addr().Is4() {
				err = fmt.Errorf("%s is not IPv4", prefix)
			}
			return cty.StringVal("mask"), err
		},
	}),
}

// validate returns the error message of the first validation that a value of a variable, in HCL, does not pass.
func validate(t *testing.T, m *module, name, text string) string {
	t.Helper()
	b := m.blocks["variable."+name]
	want, diags := typeexpr.TypeConstraint(b.Body.Attributes["type"].Expr)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	expr, diags := hclsyntax.ParseExpression([]byte(text), "value", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	v, diags := expr.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	v, err := convert.Convert(v, want)
	if err != nil {
		t.Fatal(name, text, err)
	}
	ctx := &hcl.EvalContext{Functions: inValidations, Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{name: v})}}
	for _, rule := range b.Body.Blocks {
		ok, diags := rule.Body.Attributes["condition"].Expr.Value(ctx)
		if diags.HasErrors() {
			t.Fatal(name, text, diags)
		}
		if ok.False() {
			return constant(rule.Body.Attributes["error_message"]).AsString()
		}
	}
	return ""
}

// Each validation accepts the values of the pages, and rejects others with a message that names the variable.
func TestValidations(t *testing.T) {
	t.Parallel()
	modules := map[string]*module{"gke": load(t, "gke"), "eks": load(t, "eks"), "release": load(t, "release")}
	good := map[string][]string{
		"gke.authorized_networks": {`{ me = "203.0.113.7/32", office = "10.0.0.0/8" }`},
		"eks.authorized_networks": {`["203.0.113.7/32", "10.0.0.0/8"]`},
		"gke.project":             {`"my-project"`},
		"gke.billing_account":     {`"012345-6789AB-CDEF01"`, `""`},
		"eks.budget_email":        {`"you@example.com"`, `""`},
		"eks.region":              {`"eu-central-1"`, `"ap-southeast-7"`, `"mx-central-1"`},
		"gke.zone":                {`"northamerica-northeast1-b"`},
		"release.context":         {`"eks-soundcheck-us-east-1"`},
		"release.registry":        {`"us-central1-docker.pkg.dev/my-project"`, `"127.0.0.1:5000"`, `"123456789012.dkr.ecr.us-east-1.amazonaws.com"`},
	}
	for key, texts := range good {
		module, name, _ := strings.Cut(key, ".")
		for _, text := range texts {
			if message := validate(t, modules[module], name, text); message != "" {
				t.Errorf("%s = %s: %s", key, text, message)
			}
		}
	}
	bad := map[string][]string{
		"gke.authorized_networks": {`{}`, `{ all = "0.0.0.0/0" }`, `{ a = "0.0.0.0/1", b = "128.0.0.0/1" }`, `{ me = "203.0.113.7" }`, `{ me = "::/0" }`, `{ me = null }`},
		"eks.authorized_networks": {`[]`, `["0.0.0.0/0"]`, `["0.0.0.0/1", "128.0.0.0/1"]`, `["203.0.113.7"]`, `["::/0"]`, `[null]`},
		"gke.project":             {`""`, `"My-Project"`, `"p"`, `"123456789012"`, `"my-project-"`},
		"gke.billing_account":     {`"billingAccounts/012345-6789AB-CDEF01"`, `"012345"`},
		"eks.budget_email":        {`"you"`, `"you@"`, `"a b@example.com"`},
		"gke.budget_usd":          {`0`, `1.5`, `-1`},
		"eks.budget_usd":          {`0`, `1.5`, `-1`},
		"gke.name":                {`""`, `"ab"`, `"Lab"`, `"1lab"`, `"lab-"`, `"a23456789012345678901"`},
		"eks.name":                {`""`, `"ab"`, `"Lab"`, `"1lab"`, `"lab-"`, `"a23456789012345678901"`, `"a--b"`},
		"gke.zone":                {`"us-central1"`, `"us-east-1a"`, `""`},
		"eks.region":              {`"us-east-1a"`, `"us-central1"`, `"cn-north-1"`, `"us-gov-west-1"`, `"us-iso-east-1"`, `"us-isob-east-1"`, `""`},
		"gke.lab_nodes":           {`0`, `11`, `1.5`},
		"gke.load_nodes_max":      {`0`, `51`, `1.5`},
		"eks.lab_nodes_max":       {`0`, `11`, `1.5`},
		"eks.load_nodes_max":      {`0`, `51`, `1.5`},
		"gke.database":            {`""`, `"Managed"`},
		"eks.database":            {`""`, `"rds"`},
		"release.context":         {`""`},
		"release.registry":        {`""`, `"https://us-central1-docker.pkg.dev"`, `"us-central1-docker.pkg.dev/"`},
	}
	for key, texts := range bad {
		module, name, _ := strings.Cut(key, ".")
		for _, text := range texts {
			if message := validate(t, modules[module], name, text); !strings.HasPrefix(message, name+" ") {
				t.Errorf("%s = %s: message %q, want one that begins with the variable", key, text, message)
			}
		}
	}
	for module, m := range modules {
		for _, b := range m.of("variable") {
			name := b.Labels[0]
			if len(b.Body.Blocks) > 0 && len(bad[module+"."+name]) == 0 {
				t.Errorf("%s: no test of the validations of %s", module, name)
			}
			if a := b.Body.Attributes["default"]; a != nil {
				if message := validate(t, m, name, string(a.Expr.Range().SliceBytes(m.files[a.Expr.Range().Filename]))); message != "" {
					t.Errorf("%s: default of %s: %s", module, name, message)
				}
			}
		}
	}
}
