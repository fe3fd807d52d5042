package options

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	vegeta "github.com/tsenart/vegeta/v12/lib"
	"go.opentelemetry.io/otel/baggage"

	"soundcheck/internal/cli"
	"soundcheck/loadgen/targets"
	"soundcheck/loadgen/workload"
)

// request are the flags of what is in each request.
type request struct {
	method, body         string
	headers              lines
	basicAuth, userAgent string
	baggage              string
	expect               lines
	data                 string
	targets              string
}

// lines is the value of a repeatable flag. The environment has one value a line. Those of the command line
// replace them. Values are checked after parsing: an error of package flag would show a secret.
type lines struct {
	list     []string
	defaults bool // from the environment
}

func (l *lines) String() string { return strings.Join(l.list, "\n") }

// Set adds values.
func (l *lines) Set(s string) error {
	if l.defaults {
		l.list, l.defaults = nil, false
	}
	for line := range strings.Lines(s) {
		l.list = append(l.list, strings.TrimRight(line, "\r\n"))
	}
	return nil
}

// Default implements cli.Defaulter.
func (l *lines) Default() { l.defaults = true }

func (r *request) define(f *Flags) {
	f.StringVar(&r.method, "method", "", "`method` of the URL argument's request (default: GET, with -body POST)")
	f.Var(&r.headers, "H", "`header` of each request, as in 'Accept: text/plain'; repeatable; replaces its own")
	f.StringVar(&r.body, "body", "", "`body` of the URL argument's request: text, @FILE, or - for stdin")
	f.StringVar(&r.basicAuth, "basic-auth", "", "`user:password` for HTTP basic authentication; better in the environment")
	f.StringVar(&r.userAgent, "user-agent", "", "`value` of the header User-Agent")
	f.StringVar(&r.baggage, "baggage", "", "W3C `baggage` of each request, as in tenant=a,test=1")
	f.Var(&r.expect, "expect", "expected `statuses`, as in 200,404, 2xx or get=200,404 for a scenario; repeatable")
	f.StringVar(&r.data, "data", "", "CSV or .jsonl `file` of values for {{placeholders}} in URL, headers and body")
}

// header returns the headers of -H, -basic-auth, -user-agent and -baggage.
func (r *request) header(f *Flags) (http.Header, error) {
	h, err := targets.ParseHeaders(r.headers.list)
	if err != nil {
		return nil, f.Errorf("-H: %v", err)
	}
	for _, x := range []struct{ flag, name, value string }{
		{"basic-auth", "Authorization", r.basicAuth}, {"user-agent", "User-Agent", r.userAgent}, {"baggage", "Baggage", r.baggage},
	} {
		switch {
		case x.value == "":
			continue
		case len(h[x.name]) > 0:
			return nil, f.Errorf("-%s and -H %s do not go together", x.flag, x.name)
		}
		switch x.flag {
		case "basic-auth":
			user, password, ok := strings.Cut(x.value, ":")
			if !ok {
				return nil, f.Errorf("-basic-auth has no colon, as in user:password")
			}
			x.value = targets.BasicAuth(user, password)
		case "baggage":
			if _, err := baggage.Parse(x.value); err != nil {
				return nil, f.Errorf("-baggage: %v", err)
			}
		}
		if _, err := targets.ParseHeaders([]string{x.name + ": " + x.value}); err != nil {
			return nil, f.Errorf("-%s: %v", x.flag, err)
		}
		h[x.name] = []string{x.value}
	}
	if len(h) == 0 {
		return nil, nil
	}
	return h, nil
}

// bodyBytes returns the body.
func (f *Flags) bodyBytes() ([]byte, error) {
	switch name, file := strings.CutPrefix(f.body, "@"); {
	case f.body == "-":
		return io.ReadAll(f.keep("body", f.stdin))
	case file:
		in, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer in.Close()
		return io.ReadAll(f.keep("body", in))
	}
	return []byte(f.body), nil
}

// readRequest sets what the flags say of each request, and the request of a URL or a path.
func (f *Flags) readRequest() error {
	r, c := &f.request, &f.Config
	over, err := r.header(f)
	if err != nil {
		return err
	}
	if len(over["Traceparent"]) > 0 {
		if err := f.only("-H traceparent, which has the sampling decision,", "trace-sample"); err != nil {
			return err
		}
	}
	for _, s := range r.expect.list {
		if c.Expect == nil {
			c.Expect = workload.Expectations{}
		}
		if err := c.Expect.Add(s); err != nil {
			return f.Errorf("-expect: %v", err)
		}
	}
	address := f.Address()
	if address == "" {
		if err := f.only("without a URL argument it has no request:", "method", "body"); err != nil {
			return f.Errorf("-method and -body are of the request of a URL argument, as in loadgen -body @order.json http://host/orders")
		}
	} else if err := f.only(shown(address), "url", "mix", "targets", "replay"); err != nil {
		return err
	} else {
		r.targets = ""
	}
	if r.data == "" && f.given["data"] {
		return f.Errorf("-data is empty")
	}
	if r.data != "" && (address != "" || r.targets != "") {
		file, err := os.Open(r.data)
		if err != nil {
			return f.Errorf("-data: %v", err)
		}
		defer file.Close()
		if c.Data, err = targets.ReadData(r.data, f.keep("data", file)); err != nil {
			return f.Errorf("-data: %v", err)
		}
	} else if f.given["data"] {
		return f.Errorf("-data is for placeholders in a URL argument or -targets; the file of -flow has a field data")
	}
	switch {
	case f.contract.file != "" || f.given["invalid"]:
		c.Header = over
		err = f.readContract(over)
	case f.flow != "":
		err = f.readFlow(over)
	case address != "":
		err = f.readAddress(address, over)
	case r.targets != "":
		err = f.readTargets(over)
	default:
		c.Header = over
	}
	if err == nil && c.Data != nil && c.Stream == nil {
		if err := c.Data.CheckUsed(); err != nil {
			return f.Errorf("-data: %v", err)
		}
	}
	return err
}

// readAddress makes the request of a URL or a path.
func (f *Flags) readAddress(address string, over http.Header) error {
	r, c := &f.request, &f.Config
	body, err := f.bodyBytes()
	if err != nil {
		return f.Errorf("-body: %v", err)
	}
	method := r.method
	switch {
	case method == "" && len(body) > 0:
		method = http.MethodPost
	case method == "":
		method = http.MethodGet
	}
	o := targets.Options{Header: over, Data: c.Data}
	var t vegeta.Target
	if strings.HasPrefix(address, "/") {
		t, err = o.NewPath(method, address, body)
		c.Targets = []vegeta.Target{t}
		return f.usage(err)
	}
	if u, e := url.Parse(address); e == nil && u.User != nil && u.Host != "" {
		if len(over["Authorization"]) > 0 {
			return f.Errorf("the URL has a user, and -basic-auth or -H Authorization do not go together with it")
		}
		password, _ := u.User.Password()
		o.Header = targets.Override(over, http.Header{"Authorization": {targets.BasicAuth(u.User.Username(), password)}})
		address = withoutUser(address)
	}
	t, err = o.New(method, address, body)
	c.Targets, c.URL, f.targetCount = []vegeta.Target{t}, address, 1
	return f.usage(err)
}

// usage returns an error as one of the command line.
func (f *Flags) usage(err error) error {
	if err == nil {
		return nil
	}
	return f.Errorf("%v", err)
}

// readTargets reads -targets, or prepares its stream.
func (f *Flags) readTargets(over http.Header) error {
	r, c := &f.request, &f.Config
	if f.given["mix"] || f.given["url"] {
		return f.Errorf("-targets and -mix or -url do not go together")
	}
	o := targets.Options{Header: over, Data: c.Data, Closed: f.Elsewhere, Check: func(url string) error {
		if err := c.Connect.CheckURL(url); err != nil {
			return fmt.Errorf("%s: %w", cli.WithoutPassword(url), err)
		}
		return nil
	}}
	in, name := f.stdin, "stdin"
	if r.targets != "-" {
		file, err := os.Open(r.targets)
		if err != nil {
			return fmt.Errorf("-targets: %w", err)
		}
		in, name = file, r.targets
	}
	c.URL = name
	var err error
	switch whole := isRegular(in); {
	case f.each && whole && f.Streams:
		file := in.(*os.File)
		if f.targetCount, err = o.Count(name, file); err == nil {
			_, err = file.Seek(0, io.SeekStart)
		}
		c.Stream = workload.NewStream(name, file, o)
	case !whole && f.Streams:
		c.Stream = workload.NewStream(name, io.NopCloser(in), o)
	default:
		if c.Targets, err = o.Read(name, f.keep("targets", in)); err == nil {
			f.targetCount = uint64(len(c.Targets))
		}
		if file, ok := in.(*os.File); ok {
			_ = file.Close() // it was only read
		}
	}
	if err != nil {
		return f.Errorf("-targets: %v", err)
	}
	return nil
}

// isRegular reports whether a file can be read more than once.
func isRegular(in io.Reader) bool {
	file, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode().IsRegular()
}
