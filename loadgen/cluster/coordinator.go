package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// Coordinator waits for workers and runs tasks on them.
type Coordinator struct {
	Workers int
	Token   string
	Log     func(string) // for the user; nil: none
	// Missing, if not nil, returns why workers are missing, by index, as far as it is known.
	// Index -1 is for all. Fatal: they will not come.
	Missing func(ctx context.Context) (why map[int]string, fatal bool)

	maxResult  int64         // in bytes
	said       atomic.Int64  // rejections
	stopExtent time.Duration // for the reports of a run that was cancelled
	server     *http.Server
	watch      watchers

	mu      sync.Mutex
	members []*member     // by index; nil: missing
	changed chan struct{} // closed when members change
	run     *run          // nil: none
	runs    int
}

// member is a worker that has joined.
type member struct {
	*stream
	index   int
	address string
	pongs   chan ponged // the last one
	events  chan fromWorker
	gone    chan struct{} // closed when the connection has ended
	why     error         // before gone is closed
	end     context.CancelCauseFunc
}

type ponged struct {
	pong
	received time.Time
}

// Limits of what the server accepts.
const (
	headerTimeout = 5 * time.Second
	smallBuffer   = 64 << 10 // of HTTP/2 flow control: a result waits at its sender for its turn
	smallFrame    = 16 << 10 // each connection keeps a buffer of this size
	eventQueue    = 64
)

// GCPercent is a value for debug.SetGCPercent that keeps the coordinator of many workers small.
const GCPercent = 50

// NewCoordinator returns a coordinator. Serve lets workers join.
func NewCoordinator(workers int, token string) *Coordinator {
	return &Coordinator{Workers: workers, Token: token, maxResult: maxResult, stopExtent: StopExtent(workers), members: make([]*member, workers), changed: make(chan struct{})}
}

// Serve accepts workers until Close.
func (c *Coordinator) Serve(l net.Listener) {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/join", c.join)
	mux.HandleFunc("POST /v1/result", c.result)
	mux.HandleFunc("GET /v1/watch", c.watch.serve)
	mux.HandleFunc("POST /v1/stop", c.watch.stop)
	var p http.Protocols
	p.SetHTTP1(true) // for the watcher behind kubectl port-forward, and curl
	p.SetUnencryptedHTTP2(true)
	c.server = &http.Server{Handler: c.check(mux), Protocols: &p, ReadHeaderTimeout: headerTimeout, MaxHeaderBytes: 16 << 10,
		ErrorLog: log.New(io.Discard, "", 0), // what ends a connection is in the report
		HTTP2:    &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxReceiveBufferPerConnection: smallBuffer, MaxReceiveBufferPerStream: smallBuffer, MaxReadFrameSize: smallFrame, MaxConcurrentStreams: 8}}
	go func() { _ = c.server.Serve(l) }() // ends with Close
}

// check rejects requests without the token.
func (c *Coordinator) check(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !authorized(r, c.Token) {
			c.reject(w, r, http.StatusUnauthorized, "wrong token: set SOUNDCHECK_LOADGEN_TOKEN to the one of the coordinator")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (c *Coordinator) log(format string, args ...any) {
	if c.Log != nil {
		c.Log(fmt.Sprintf(format, args...))
	}
}

// maxSaid is the max number of rejections that are logged.
const maxSaid = 20

// reject responds with an error, and logs it: a worker that will not come.
func (c *Coordinator) reject(w http.ResponseWriter, r *http.Request, status int, text string) {
	if n := c.said.Add(1); n <= maxSaid {
		c.log("rejected %s: %s", r.RemoteAddr, text)
	}
	http.Error(w, text, status)
}

// join serves a worker until it leaves.
func (c *Coordinator) join(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.ProtoMajor != 2:
		c.reject(w, r, http.StatusHTTPVersionNotSupported, "workers speak HTTP/2: a proxy in between does not")
		return
	case r.Header.Get(protocolHeader) != protocol:
		c.reject(w, r, http.StatusBadRequest, fmt.Sprintf("protocol %q, want %s: use the same version of loadgen for all", r.Header.Get(protocolHeader), protocol))
		return
	}
	index := -1
	if text := r.Header.Get(indexHeader); text != "" {
		var err error
		if index, err = strconv.Atoi(text); err != nil || index < 0 || index >= c.Workers {
			c.reject(w, r, http.StatusBadRequest, fmt.Sprintf("worker %.20s is not one of 0 to %d", text, c.Workers-1))
			return
		}
	}
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	control := http.NewResponseController(w)
	m := &member{index: index, address: r.RemoteAddr, pongs: make(chan ponged, 1), events: make(chan fromWorker, eventQueue), gone: make(chan struct{}), end: end,
		stream: newStream(w, control.Flush, r.Body, maxMessage)}
	m.mu.Lock() // whoever sees the worker may send it something: hello is the first message all the same
	err := c.add(m)
	if err == nil {
		m.why = m.write(toWorker{Hello: &hello{m.index, c.Workers}})
	}
	m.mu.Unlock()
	if err != nil {
		c.reject(w, r, http.StatusConflict, err.Error())
		return
	}
	defer c.remove(m)
	if m.why != nil {
		return
	}
	received := make(chan error, 1)
	go func() { received <- m.read() }()
	select {
	case m.why = <-received:
	case <-ctx.Done():
		m.why = context.Cause(ctx)
	}
}

// read receives messages.
func (m *member) read() error {
	for {
		var f fromWorker
		if err := m.receive(&f); err != nil {
			return err
		}
		if f.Pong != nil {
			select {
			case <-m.pongs: // nobody waits for it any more
			default:
			}
			m.pongs <- ponged{*f.Pong, time.Now()}
			continue
		}
		select {
		case m.events <- f:
		case <-m.gone:
			return nil
		}
	}
}

// add gives a worker its index.
func (c *Coordinator) add(m *member) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.run != nil || c.runs > 0 {
		return errors.New("the run has begun")
	}
	if m.index < 0 {
		if m.index = slices.Index(c.members, nil); m.index < 0 {
			return fmt.Errorf("all %d workers are connected", c.Workers)
		}
	}
	if other := c.members[m.index]; other != nil {
		return fmt.Errorf("worker %d is already connected, from %s", m.index, other.address)
	}
	c.members[m.index] = m
	c.change()
	return nil
}

func (c *Coordinator) change() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// remove forgets a worker that has left. Later events of it are dropped.
func (c *Coordinator) remove(m *member) {
	m.close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members[m.index] = nil
	close(m.gone)
	c.change()
}

// ping measures a round trip.
func (m *member) ping(ctx context.Context, n uint64) (sent, other, received time.Time, err error) {
	sent = time.Now()
	if err = m.send(toWorker{Ping: n}); err != nil {
		return
	}
	for {
		select {
		case p := <-m.pongs:
			if p.Ping == n {
				return sent, p.Now, p.received, nil
			}
		case <-m.gone:
			return sent, other, received, errors.New(reason(m.why))
		case <-ctx.Done():
			return sent, other, received, ctx.Err()
		}
	}
}

// offset measures the worker's clock. One goroutine at a time calls it.
func (m *member) offset(ctx context.Context) (Offset, error) {
	n := uint64(time.Now().UnixNano())
	return measureOffset(ctx, func(ctx context.Context) (sent, other, received time.Time, err error) {
		n++
		return m.ping(ctx, n)
	})
}

// missing returns the indexes of the workers that are not here.
func (c *Coordinator) missing() (list []int, changed chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, m := range c.members {
		if m == nil {
			list = append(list, i)
		}
	}
	return list, c.changed
}

// closeTimeout is how long Close waits for workers to leave.
const closeTimeout = pingTimeout

// Close ends the sessions of the workers, with the error that ended the run, if any.
func (c *Coordinator) Close(err error) {
	c.mu.Lock()
	members := slices.Clone(c.members)
	c.mu.Unlock()
	deadline := time.Now().Add(closeTimeout)
	var all sync.WaitGroup
	for _, m := range members {
		if m == nil {
			continue
		}
		all.Go(func() {
			_ = m.send(toWorker{Bye: &bye{text(err)}})
			select {
			case <-m.gone:
			case <-time.After(time.Until(deadline)):
				m.end(errors.New("the run is over"))
			}
		})
	}
	all.Wait()
	_ = c.server.Close()
}
