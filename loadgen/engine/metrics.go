package engine

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/metric/noop"

	"soundcheck/loadgen/failure"
	"soundcheck/loadgen/measure"
)

// scope names the metrics and spans.
const scope = "soundcheck/loadgen/engine"

// Attributes of the metrics and spans.
const (
	runKey      = "soundcheck.loadgen.run"
	workerKey   = "soundcheck.loadgen.worker"
	scenarioKey = "soundcheck.loadgen.scenario"
	classKey    = "soundcheck.loadgen.class"

	// OpenTelemetry's semantic conventions for HTTP clients.
	methodKey    = attribute.Key("http.request.method")
	statusKey    = attribute.Key("http.response.status_code")
	resendKey    = attribute.Key("http.request.resend_count")
	addressKey   = attribute.Key("server.address")
	portKey      = attribute.Key("server.port")
	urlKey       = attribute.Key("url.full")
	templateKey  = attribute.Key("url.template")
	errorTypeKey = attribute.Key("error.type")

	scenarioAttribute = attribute.Key(scenarioKey)
)

// runAttributes returns the attributes of the run and of this process in it.
func (c Config) runAttributes() []attribute.KeyValue {
	list := []attribute.KeyValue{attribute.String(runKey, c.RunID)}
	if c.Worker != "" {
		list = append(list, attribute.String(workerKey, c.Worker))
	}
	return list
}

// meter records the metrics of a run.
type meter struct {
	duration  metric.Float64Histogram
	response  metric.Float64Histogram
	service   metric.Float64Histogram
	sendDelay metric.Float64Histogram
	run       []metric.RecordOption
	sets      map[string]map[measure.Class][]metric.RecordOption
	gauges    metric.Registration
	on        bool
}

// measured reports whether anything is done with metrics.
func (c Config) measured() bool {
	_, off := c.MeterProvider.(noop.MeterProvider)
	return !off
}

// newMeter creates the metrics, all but the first with the attribute
// soundcheck.loadgen.run and, in a run of several processes, soundcheck.loadgen.worker:
//
//	http.client.request.duration      s            by attempt, as in the semantic conventions
//	soundcheck.loadgen.response_time  s            by scenario and class; exemplars link to the requests' traces
//	soundcheck.loadgen.service_time   s            by scenario and class
//	soundcheck.loadgen.send_delay     s
//	soundcheck.loadgen.rate           {request}/s  target rate, of this process
//	soundcheck.loadgen.in_flight      {request}
func newMeter(c Config, tr *transport) (*meter, error) {
	m := c.MeterProvider.Meter(scope)
	run := c.runAttributes()
	all := metric.WithAttributeSet(attribute.NewSet(run...))
	k := &meter{on: c.measured(), run: []metric.RecordOption{all}, sets: map[string]map[measure.Class][]metric.RecordOption{}}
	for _, name := range c.Scenarios() {
		k.sets[name] = map[measure.Class][]metric.RecordOption{}
		for _, class := range measure.Classes {
			set := attribute.NewSet(append(slices.Clone(run), attribute.String(scenarioKey, name), attribute.String(classKey, string(class)))...)
			k.sets[name][class] = []metric.RecordOption{metric.WithAttributeSet(set)}
		}
	}
	var err error
	if k.duration, err = m.Float64Histogram("http.client.request.duration", metric.WithUnit("s"),
		metric.WithDescription("Duration of HTTP client requests.")); err != nil {
		return nil, err
	}
	if k.response, err = m.Float64Histogram("soundcheck.loadgen.response_time", metric.WithUnit("s"),
		metric.WithDescription("Response time: scheduled time of a request to the end of its response.")); err != nil {
		return nil, err
	}
	if k.service, err = m.Float64Histogram("soundcheck.loadgen.service_time", metric.WithUnit("s"),
		metric.WithDescription("Service time: send time of a request to the end of its response.")); err != nil {
		return nil, err
	}
	if k.sendDelay, err = m.Float64Histogram("soundcheck.loadgen.send_delay", metric.WithUnit("s"),
		metric.WithDescription("Send delay: scheduled time to send time of a request.")); err != nil {
		return nil, err
	}
	rate, err := m.Float64ObservableGauge("soundcheck.loadgen.rate", metric.WithUnit("{request}/s"),
		metric.WithDescription("Target rate of this process; absent in the closed model and with a flow."))
	if err != nil {
		return nil, err
	}
	inFlight, err := m.Int64ObservableGauge("soundcheck.loadgen.in_flight", metric.WithUnit("{request}"),
		metric.WithDescription("Requests in flight."))
	if err != nil {
		return nil, err
	}
	start := time.Now()
	if !c.StartAt.IsZero() {
		start = c.StartAt
	}
	k.gauges, err = m.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		if c.Workers == 0 && c.Flow == nil { // the rate of a flow is of users
			o.ObserveFloat64(rate, c.Plan.Rate(time.Since(start)), all)
		}
		o.ObserveInt64(inFlight, tr.inFlight.Load(), all)
		return nil
	}, rate, inFlight)
	return k, err
}

// add records a request, in the context of its last attempt.
func (m *meter) add(ctx context.Context, scenario string, class measure.Class, response, service, sendDelay time.Duration) {
	if !m.on {
		return
	}
	options := m.sets[scenario][class]
	m.response.Record(ctx, response.Seconds(), options...)
	m.service.Record(ctx, service.Seconds(), options...)
	m.sendDelay.Record(ctx, sendDelay.Seconds(), m.run...)
}

// clientKey are the attributes of http.client.request.duration.
type clientKey struct {
	method, scheme, host string
	status               int
	failure              string
}

// clients are the attributes of a worker's attempts, made once for each key.
type clients map[clientKey]client

// client are the attributes of attempts, for metrics and for spans.
type client struct {
	options    []metric.RecordOption
	attributes []attribute.KeyValue
}

// of returns the attributes of an attempt.
func (c clients) of(key clientKey, u *url.URL) client {
	x, ok := c[key]
	if !ok {
		x.attributes = key.attributes(u)
		x.options = []metric.RecordOption{metric.WithAttributeSet(attribute.NewSet(slices.Clone(x.attributes)...))}
		c[key] = x
	}
	return x
}

// checkFailed is error.type of a response that fails a check.
const checkFailed = "check_failed"

// keyOf returns the key of an attempt with a status or an error.
func keyOf(method string, u *url.URL, status int, err error) clientKey {
	k := clientKey{method: method, scheme: u.Scheme, host: u.Host, status: status}
	switch {
	case err != nil:
		k.failure = failure.Of(err).Name
	case status >= 400:
		k.failure = strconv.Itoa(status)
	}
	return k
}

func (k clientKey) attributes(u *url.URL) []attribute.KeyValue {
	a := []attribute.KeyValue{methodKey.String(k.method), addressKey.String(u.Hostname())}
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if p, err := strconv.Atoi(u.Port()); err == nil {
		port = p
	}
	a = append(a, portKey.Int(port))
	if k.status != 0 {
		a = append(a, statusKey.Int(k.status))
	}
	if k.failure != "" {
		a = append(a, errorTypeKey.String(k.failure))
	}
	return a
}
