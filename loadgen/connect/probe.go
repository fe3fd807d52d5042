package connect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"
	"time"
)

// probeTimeout is the timeout of the probe before the run.
const probeTimeout = 5 * time.Second

// Probe returns an error if base is not a healthy album service. It requests /healthz, which
// services neither trace nor count, with the headers of every request: a gateway may need them.
func Probe(ctx context.Context, base string, o Options, header http.Header) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return err
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	t := o.Dialer().Transport(1)
	defer t.CloseIdleConnections()
	resp, err := (&http.Client{Transport: t}).Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/healthz responded %s: not an album service", base, resp.Status)
	}
	return nil
}

// Advice returns what to do about an error of Probe.
func (o Options) Advice(err error) string {
	op, dial := errors.AsType[*net.OpError](err)
	dial = dial && op.Op == "dial"
	_, mismatch := errors.AsType[*net.AddrError](err)
	switch {
	case o.LocalAddr != "" && dial && (mismatch || errors.Is(err, syscall.EADDRNOTAVAIL)):
		return "set -local-addr to an address of this machine, of the IP version of the target"
	case o.UnixSocket != "" && dial:
		return "set -unix-socket to the socket of a server that is up"
	}
	return "start the lab with make lab-up, or set -url"
}
