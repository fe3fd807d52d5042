package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// maxResponse is how many bytes of a response are read. Tests lower it.
var maxResponse = 128 << 20

// backend is an HTTP API that is queried.
type backend struct {
	name   string
	url    string
	client *http.Client
	late   *atomic.Bool // the last request timed out
}

// requestTimeout is the timeout of a request, lateTimeout that of a request after one that
// timed out: a backend that hangs must not delay each check for long.
const (
	requestTimeout = 10 * time.Second
	lateTimeout    = time.Second
)

func newBackend(name, url string) backend {
	return backend{name, url, http.DefaultClient, new(atomic.Bool)}
}

// ask returns an error unless the response to a GET is 200.
func (b backend) ask(ctx context.Context, path string) error {
	_, _, err := b.get(ctx, path, nil)
	return err
}

// get returns a response's body, and its status if there was one. Statuses other than 200 are errors.
func (b backend) get(ctx context.Context, path string, query url.Values) ([]byte, int, error) {
	address := b.url + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	timeout := requestTimeout
	if b.late.Load() {
		timeout = lateTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, 0, err
	}
	resp, err := b.client.Do(req)
	if !errors.Is(err, context.Canceled) { // not the backend's fault
		b.late.Store(errors.Is(err, context.DeadlineExceeded))
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s does not respond: %w", b.name, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(maxResponse)+1))
	switch {
	case err != nil:
		return nil, resp.StatusCode, fmt.Errorf("read the response of %s: %w", b.name, err)
	case len(body) > maxResponse:
		return nil, resp.StatusCode, fmt.Errorf("the response of %s to %s is larger than %d MiB", b.name, path, maxResponse>>20)
	case resp.StatusCode != http.StatusOK:
		return nil, resp.StatusCode, fmt.Errorf("%s responded %s to %s: %.300s", b.name, resp.Status, path, body)
	}
	return body, resp.StatusCode, nil
}

// getJSON reads a JSON response.
func (b backend) getJSON(ctx context.Context, path string, query url.Values, into any) error {
	body, _, err := b.get(ctx, path, query)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the response of %s to %s is not the expected JSON: %w", b.name, path, err)
	}
	return nil
}
