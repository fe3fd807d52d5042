// Package environment checks the variables of the OpenTelemetry specification. Each set variable is
// used, or is Ignored with a reason. An invalid value counts as unset.
package environment

import (
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Signals have exporter variables of their own.
var Signals = []string{"TRACES", "METRICS", "LOGS"}

// Ignored is a variable whose value is ignored or changed.
type Ignored struct{ Name, Value, Reason string }

// Unknown is the reason of a variable that the specification does not have.
const Unknown = "unknown variable"

// String names the variable, its value unless that can be a credential, and the reason.
func (i Ignored) String() string {
	switch {
	case strings.HasSuffix(i.Name, "HEADERS"), i.Reason == Unknown: // or misspelled ones, or a vendor's key
		return i.Name + ": " + i.Reason
	case strings.HasSuffix(i.Name, "ENDPOINT") && strings.Contains(i.Value, "@"): // a password
		return i.Name + ": " + i.Reason
	}
	return fmt.Sprintf("%s=%q: %s", i.Name, i.Value, i.Reason)
}

// check is a variable's check: it returns the value to use, "" for the default.
type check func(value string) (string, error)

func anything(v string) (string, error) { return strings.ToValidUTF8(v, string(utf8.RuneError)), nil }

func oneOf(words ...string) check {
	return func(v string) (string, error) {
		if w := strings.ToLower(strings.TrimSpace(v)); slices.Contains(words, w) {
			return w, nil
		}
		return "", errors.New("must be one of " + strings.Join(words, ", "))
	}
}

// listOf retains the known values of a list.
func listOf(words ...string) check {
	return func(v string) (string, error) {
		var known, unknown []string
		for w := range strings.SplitSeq(v, ",") {
			switch w = strings.ToLower(strings.TrimSpace(w)); {
			case slices.Contains(words, w) && !slices.Contains(known, w):
				known = append(known, w)
			case w != "" && !slices.Contains(words, w):
				unknown = append(unknown, strconv.Quote(w))
			}
		}
		var err error
		if len(unknown) > 0 {
			err = fmt.Errorf("%s is not supported, only %s", strings.Join(unknown, ", "), strings.Join(words, ", "))
		}
		return strings.Join(known, ","), err
	}
}

func integer(low, high int) check {
	return func(v string) (string, error) {
		v = strings.TrimSpace(v)
		if n, err := strconv.Atoi(v); err != nil || n < low || n > high {
			return "", fmt.Errorf("must be an integer from %d to %d", low, high)
		}
		return v, nil
	}
}

func ratio(v string) (string, error) {
	v = strings.TrimSpace(v)
	if f, err := strconv.ParseFloat(v, 64); err != nil || !(f >= 0 && f <= 1) {
		return "", errors.New("must be a number from 0 to 1")
	}
	return v, nil
}

// endpointOf returns the check of the variables with a prefix. An endpoint without a
// scheme, such as localhost:4318, would be ignored or taken for https.
func endpointOf(env values, prefix string) check {
	return func(v string) (string, error) {
		v = strings.TrimSpace(v)
		if !strings.Contains(v, "://") && !strings.HasPrefix(v, "unix:") {
			scheme := "http://"
			if cmp.Or(env[prefix+"INSECURE"], env["OTEL_EXPORTER_OTLP_INSECURE"]) == "false" {
				scheme = "https://"
			}
			v = scheme + v
		}
		if err := isEndpoint(v); err != nil {
			return "", err
		}
		return v, nil
	}
}

func isEndpoint(v string) error {
	u, err := url.Parse(v)
	switch {
	case err != nil:
		return errors.New("is not a URL")
	case u.Scheme == "unix":
		return nil
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("the scheme must be http or https")
	case u.Hostname() == "":
		return errors.New("has no host")
	}
	return nil
}

func readable(v string) (string, error) {
	if _, err := os.ReadFile(v); err != nil {
		return "", err
	}
	return v, nil
}

func certificates(v string) (string, error) {
	b, err := os.ReadFile(v)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(b) {
		err = errors.New("holds no certificate in PEM")
	}
	if err != nil {
		return "", err
	}
	return v, nil
}

// pairs drops elements that are not name=value: some readers would drop all.
func pairs(name *regexp.Regexp) check {
	return func(v string) (use string, err error) {
		var list []string
		for p := range strings.SplitSeq(v, ",") {
			key, value, ok := strings.Cut(strings.ToValidUTF8(p, string(utf8.RuneError)), "=")
			_, escape := url.PathUnescape(value)
			switch {
			case strings.TrimSpace(p) == "":
			case !ok || escape != nil || !name.MatchString(key):
				err = errors.New("what is not name=value, with % escapes, is left out")
			default:
				list = append(list, key+"="+value)
			}
		}
		return strings.Join(list, ","), err
	}
}

var anyName, token = regexp.MustCompile(`\S`), regexp.MustCompile("^\\s*[!#$%&'*+.^_`|~0-9A-Za-z-]+\\s*$")

func protocol(v string) (string, error) {
	return oneOf("grpc", "http/protobuf")(v)
}

func unsupported(string) (string, error) { return "", errors.New("is not supported") }

// Lookup returns the last value of a variable in an environment.
func Lookup(environ []string, name string) (value string) {
	for _, kv := range environ {
		if n, v, _ := strings.Cut(kv, "="); n == name {
			value = v
		}
	}
	return value
}

// Names returns the variables of the specification.
func Names() []string {
	var names []string
	for _, v := range variables(nil) {
		names = append(names, v.name)
	}
	return names
}

// values are those of variables by their names.
type values map[string]string

// variables are those of the specification, in the order in which they are checked.
func variables(env values) []struct {
	name  string
	check check
} {
	const forever = 1<<31 - 1
	boolean, count, limit := oneOf("true", "false"), integer(1, forever), integer(-1, forever)
	type list = []struct {
		name  string
		check check
	}
	all := list{
		{"OTEL_SDK_DISABLED", boolean},
		{"OTEL_ENTITIES", unsupported},
		{"OTEL_CONFIG_FILE", unsupported},
		{"OTEL_EXPERIMENTAL_CONFIG_FILE", unsupported},
		{"OTEL_RESOURCE_ATTRIBUTES", pairs(anyName)},
		{"OTEL_SERVICE_NAME", anything},
		{"OTEL_LOG_LEVEL", oneOf("none", "error", "warn", "info", "debug")},
		{"OTEL_PROPAGATORS", listOf("tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "ottrace", "none")},
		{"OTEL_TRACES_SAMPLER", oneOf("always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")},
		{"OTEL_TRACES_SAMPLER_ARG", ratio},
		{"OTEL_TRACES_EXPORTER", listOf("otlp", "console", "none")},
		{"OTEL_METRICS_EXPORTER", listOf("otlp", "prometheus", "console", "none")},
		{"OTEL_LOGS_EXPORTER", listOf("otlp", "console", "none")},
		{"OTEL_METRICS_EXEMPLAR_FILTER", oneOf("always_on", "always_off", "trace_based")},
		{"OTEL_METRIC_EXPORT_INTERVAL", count},
		{"OTEL_METRIC_EXPORT_TIMEOUT", count},
		{"OTEL_METRICS_PRODUCERS", unsupported},
		{"OTEL_SEMCONV_STABILITY_OPT_IN", unsupported},
		{"OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", limit},
		{"OTEL_ATTRIBUTE_COUNT_LIMIT", limit},
		{"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", limit},
		{"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", limit},
		{"OTEL_SPAN_EVENT_COUNT_LIMIT", limit},
		{"OTEL_SPAN_LINK_COUNT_LIMIT", limit},
		{"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", limit},
		{"OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", limit},
		{"OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", limit},
		{"OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", limit},
		{"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", oneOf("cumulative", "delta", "lowmemory")},
		{"OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", oneOf("explicit_bucket_histogram", "base2_exponential_bucket_histogram")},
		{"OTEL_EXPORTER_PROMETHEUS_HOST", anything},
		{"OTEL_EXPORTER_PROMETHEUS_PORT", integer(0, 65535)},
		{"OTEL_EXPORTER_ZIPKIN_ENDPOINT", unsupported},
		{"OTEL_EXPORTER_ZIPKIN_TIMEOUT", unsupported},
		{"OTEL_EXPORTER_JAEGER_ENDPOINT", unsupported},
	}
	for _, p := range []string{"OTEL_BSP_", "OTEL_BLRP_"} {
		all = append(all, list{
			{p + "SCHEDULE_DELAY", count}, {p + "EXPORT_TIMEOUT", count},
			{p + "MAX_QUEUE_SIZE", count}, {p + "MAX_EXPORT_BATCH_SIZE", count},
		}...)
	}
	for _, p := range Prefixes() {
		all = append(all, list{
			{p + "INSECURE", boolean}, {p + "ENDPOINT", endpointOf(env, p)}, {p + "PROTOCOL", protocol},
			{p + "CERTIFICATE", certificates}, {p + "CLIENT_KEY", readable}, {p + "CLIENT_CERTIFICATE", readable},
			{p + "HEADERS", pairs(token)}, {p + "COMPRESSION", oneOf("gzip", "none")}, {p + "TIMEOUT", count},
		}...)
	}
	return all
}

// Prefixes are those of the OTLP exporters' variables: of all signals, then of each.
func Prefixes() []string {
	prefixes := []string{"OTEL_EXPORTER_OTLP_"}
	for _, s := range Signals {
		prefixes = append(prefixes, "OTEL_EXPORTER_OTLP_"+s+"_")
	}
	return prefixes
}

// Check returns the variables of an environment, as of os.Environ, whose value is ignored or changed, and
// the values to use instead, "" for unset.
func Check(environ []string) (list []Ignored, use map[string]string) {
	env, use := values{}, map[string]string{}
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		env[name] = value
	}
	set := func(name, value string) {
		if env[name] != value {
			env[name], use[name] = value, value
		}
	}
	known := map[string]bool{}
	for _, v := range variables(env) {
		known[v.name] = true
		value := env[v.name]
		if value == "" {
			continue
		}
		right, wrong := v.check(value)
		if wrong != nil {
			list = append(list, Ignored{v.name, value, wrong.Error()})
		}
		set(v.name, right)
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		// OTEL_GO_X_* are experiments of the Go SDK.
		if strings.HasPrefix(name, "OTEL_") && !strings.HasPrefix(name, "OTEL_GO_") && env[name] != "" && !known[name] {
			list = append(list, Ignored{name, env[name], Unknown})
		}
	}
	if arg := env["OTEL_TRACES_SAMPLER_ARG"]; arg != "" && !strings.HasSuffix(env["OTEL_TRACES_SAMPLER"], "traceidratio") {
		list = append(list, Ignored{"OTEL_TRACES_SAMPLER_ARG", arg, "only used with a traceidratio sampler"})
	}
	return append(list, checkTransport(env, set)...), use
}

// checkTransport drops values that would make an exporter reject its other settings, or change the
// scheme of a URL.
func checkTransport(env values, set func(name, value string)) (list []Ignored) {
	secure := func(prefix string) bool {
		return strings.HasPrefix(cmp.Or(env[prefix+"ENDPOINT"], env["OTEL_EXPORTER_OTLP_ENDPOINT"]), "https:")
	}
	all := true
	for _, s := range Signals {
		all = all && secure("OTEL_EXPORTER_OTLP_"+s+"_")
	}
	for _, p := range Prefixes() {
		// Every endpoint has a scheme by now, and it takes precedence.
		set(p+"INSECURE", "")
		if p == "OTEL_EXPORTER_OTLP_" && all || p != "OTEL_EXPORTER_OTLP_" && secure(p) {
			continue
		}
		for _, name := range []string{"CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"} {
			if v := env[p+name]; v != "" {
				list = append(list, Ignored{p + name, v, "only used with https endpoints"})
				set(p+name, "")
			}
		}
	}
	return list
}
