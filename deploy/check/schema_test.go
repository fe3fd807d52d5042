package check

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// property is a part of values.schema.json.
type property struct {
	Ref        string              `json:"$ref"`
	Type       any                 `json:"type"`
	Properties map[string]property `json:"properties"`
	Additional any                 `json:"additionalProperties"`
	Defs       map[string]property `json:"$defs"`
}

// differences are values that the schema lacks, those it has and values.yaml does not, and maps with any name.
func differences(path string, s property, defs map[string]property, v map[string]any) (list []string) {
	if name, ok := strings.CutPrefix(s.Ref, "#/$defs/"); ok {
		s = defs[name]
	}
	if s.Properties == nil {
		return nil // names are the user's: environment, labels, configuration
	}
	if s.Additional != false {
		list = append(list, path+": additionalProperties is not false in values.schema.json")
	}
	for key, value := range v {
		sub, ok := s.Properties[key]
		if !ok {
			list = append(list, path+"."+key+" is not in values.schema.json")
		} else if m, ok := value.(map[string]any); ok {
			list = append(list, differences(path+"."+key, sub, defs, m)...)
		}
	}
	for key := range s.Properties {
		if _, ok := v[key]; !ok {
			list = append(list, path+"."+key+" is not in values.yaml")
		}
	}
	return list
}

// chartSchema returns the values of a chart, and how its schema and values differ.
func chartSchema(t *testing.T, dir string) (differ func(values map[string]any) []string, values map[string]any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "values.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var s property
	if err := json.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	b, err = os.ReadFile(filepath.Join(dir, "values.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return func(values map[string]any) []string { return differences("", s, s.Defs, values) }, parse(t, string(b))
}

func TestSchema(t *testing.T) {
	t.Parallel()
	differ, values := chartSchema(t, chartDir)
	for _, d := range differ(values) {
		t.Error(d)
	}
	values["surprise"] = true
	delete(values["store"].(map[string]any), "replicas")
	if got := differ(values); len(got) != 2 {
		t.Errorf("found %q, want one value that the schema lacks and one that it has alone", got)
	}
}

// bad are invalid values and their errors.
type bad struct{ values, want string }

// Bad values, and a part of the message: where, and what is wrong.
var badValues = []bad{
	{"replicas: 3", `additional properties 'replicas' not allowed`},
	{"store: {replica: 3}", `at '/store': additional properties 'replica' not allowed`},
	{"store: {image: {name: a}}", `at '/store/image': additional properties 'name' not allowed`},
	{"store: {autoscaling: {max: 3}}", `at '/store/autoscaling': additional properties 'max' not allowed`},
	{"store: {resources: {limit: {memory: 1Gi}}}", `at '/store/resources': additional properties 'limit' not allowed`},
	{"store: {podDisruptionBudget: {minAvailable: 1}}", `at '/store/podDisruptionBudget': additional properties 'minAvailable' not allowed`},
	{"database: {type: sqlite}", `at '/database': additional properties 'type' not allowed`},
	{"database: {postgres: {secret: a}}", `at '/database/postgres': additional properties 'secret' not allowed`},
	{"collector: {persistence: {storageclass: a}}", `at '/collector/persistence': additional properties 'storageclass' not allowed`},
	{"gateway: {otlp: {host: a}}", `at '/gateway/otlp': additional properties 'host' not allowed`},
	{"tools: {enabled: true}", `at '/tools': additional properties 'enabled' not allowed`},
	{"database: {kind: mysql}", `at '/database/kind': value must be one of 'memory', 'sqlite', 'postgres'`},
	{"database: {postgres: {mode: bitnami}}", `at '/database/postgres/mode': value must be one of 'internal', 'external'`},
	{"database: {sqlite: {accessMode: ReadWriteMany}}", `at '/database/sqlite/accessMode': value must be one of`},
	{"migrations: {mode: on}", `at '/migrations/mode': value must be one of 'auto', 'hook', 'job', 'init', 'off'`},
	{"migrations: {mode: off}", `at '/migrations/mode': value must be one of`}, // YAML's false; "off" needs quotes
	{"service: {type: ExternalName}", `at '/service/type': value must be one of 'ClusterIP', 'NodePort', 'LoadBalancer'`},
	{"telemetry: {sampler: always}", `at '/telemetry/sampler': value must be one of`},
	{"images: {pullPolicy: Sometimes}", `at '/images/pullPolicy': value must be one of`},
	{"images: {tag: latest}", `at '/images/tag': 'not' failed`},
	{"jaeger: {image: {tag: latest}}", `at '/jaeger/image/tag': 'not' failed`},
	{"images: {tag: 1.2}", `at '/images/tag': got number, want string`},
	{"images: {registry: 5}", `at '/images/registry': got number, want string`},
	{"images: {registry: 'https://registry.example'}", `at '/images/registry': 'https://registry.example' does not match pattern`},
	{"jaeger: {externalOtlp: 'http://jaeger:4318'}", `at '/jaeger/externalOtlp': 'http://jaeger:4318' does not match pattern`},
	{"store: {replicas: '2'}", `at '/store/replicas': got string, want integer`},
	{"store: {replicas: 1.5}", `at '/store/replicas': got number, want integer`},
	{"store: {replicas: 0}", `at '/store/replicas': minimum: got 0, want 1`},
	{"store: {args: -rate-limit=1}", `at '/store/args': got string, want array`},
	{"store: {args: [-rate-limit, 100]}", `at '/store/args/1': got number, want string`},
	{"store: {env: [{name: A, value: b}]}", `at '/store/env': got array, want object`},
	{"store: {env: {A-B: c}}", `at '/store/env': additional properties 'A-B' not allowed`},
	{"store: {env: {A: {secretKeyRef: {name: a, key: b}}}}", `at '/store/env/A': missing property 'valueFrom'`},
	{"store: {enabled: 'yes'}", `at '/store/enabled': got string, want boolean`},
	{"store: {podAnnotations: {a: true}}", `at '/store/podAnnotations/a': got boolean, want string`},
	{"jaeger: {image: {digest: abc}}", `at '/jaeger/image/digest': 'abc' does not match pattern`},
	{"jaeger: {persistence: {size: 5 GB}}", `at '/jaeger/persistence/size': '5 GB' does not match pattern`},
	{"jaeger: {externalUrl: 'jaeger:16686'}", `at '/jaeger/externalUrl': 'jaeger:16686' does not match pattern`},
	{"prometheus: {retention: forever}", `at '/prometheus/retention': 'forever' does not match pattern`},
	{"prometheus: {retentionSize: 2Gi}", `at '/prometheus/retentionSize': '2Gi' does not match pattern`},
	{"collector: {maxConnectionAge: 60}", `at '/collector/maxConnectionAge': got number, want string`},
	{"externalStore: {url: 'a.example:9080'}", `at '/externalStore/url': 'a.example:9080' does not match pattern`},
	{"gateway: {port: 70000}", `at '/gateway/port': maximum: got 70,000, want 65,535`},
	{"gateway: {hostname: 'http://a.example'}", `at '/gateway/hostname': 'http://a.example' does not match pattern`},
	{"gateway: {parentRefs: [{namespace: a}]}", `at '/gateway/parentRefs/0': missing property 'name'`},
	{"gateway: {otlp: {hostname: ''}}", `at '/gateway/otlp/hostname': minLength: got 0, want 1`},
	{"ingress: {hostname: ''}", `at '/ingress/hostname': minLength: got 0, want 1`},
	{"service: {nodePorts: {grafana: 30300}}", `at '/service/nodePorts/grafana': got number, want object`},
	{"nameOverride: My_Lab", `at '/nameOverride': 'My_Lab' does not match pattern`},
	{"fullnameOverride: " + strings.Repeat("x", 38), `at '/fullnameOverride': maxLength: got 38, want 37`},
	{"fullnameOverride: 1ab", `at '/fullnameOverride': '1ab' does not match pattern`},
	{"environment: a,b=c", `at '/environment': 'a,b=c' does not match pattern`},
	{"networkPolicies: {from: {}}", `at '/networkPolicies/from': got object, want array`},
}

func TestBadValues(t *testing.T) {
	t.Parallel()
	for _, tt := range badValues {
		t.Run(tt.values, func(t *testing.T) {
			t.Parallel()
			rejected(t, lab, merge(t, registry, tt.values), tt.want)
		})
	}
}

// rejected reports an error if both Helms do not reject values because of the schema.
func rejected(t *testing.T, r release, values, want string) {
	t.Helper()
	for name, render := range map[string]func(*testing.T, release, string) (map[string]string, error){"Helm 4": render4, "Helm 3": render3} {
		if _, err := render(t, r, values); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "values don't meet the specifications") {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}
