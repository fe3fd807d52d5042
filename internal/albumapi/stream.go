package albumapi

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"time"

	"soundcheck/internal/album"
	"soundcheck/internal/upstream"
)

// maxLine is the maximum line of a stream: an album with the longest texts, escaped to six bytes
// per character.
const maxLine = 64 << 10

// maxProblem is the maximum size of an error response to a stream request.
const maxProblem = 1 << 20

// Stream implements album.Service. The client's timeout applies to each album, not to the whole
// stream.
func (c *Client) Stream(ctx context.Context, f album.Filter) iter.Seq2[album.Album, error] {
	return func(yield func(album.Album, error) bool) {
		if err := c.stream(ctx, f, func(a album.Album) bool { return yield(a, nil) }); err != nil {
			yield(album.Album{}, err)
		}
	}
}

var errStalled = fmt.Errorf("%w: the stream stalled", upstream.ErrTimeout)

func (c *Client) stream(ctx context.Context, f album.Filter, each func(album.Album) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(c.timeout, func() { cancel(errStalled) })
	defer stalled.Stop()
	failed := func(err error) error {
		if errors.Is(context.Cause(ctx), errStalled) {
			return fmt.Errorf("%w: %w", album.ErrTimeout, errStalled)
		}
		return upstreamError(upstream.Error(ctx, err))
	}
	path := "/albums"
	if v := filterValues(f); len(v) > 0 {
		path += "?" + v.Encode()
	}
	req := request{method: http.MethodGet, route: "/albums", path: path, accept: NDJSONType}
	resp, err := c.pool.Open(ctx, req.upstream())
	if err != nil {
		if ctx.Err() != nil {
			return failed(err)
		}
		return upstreamError(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
		if err != nil {
			return failed(err)
		}
		return (&response{&upstream.Response{Response: resp, Body: body}, req}).asError()
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		stalled.Stop() // while the caller processes the album
		var a album.Album
		if err := decodeBody(lines.Bytes(), &a); err != nil {
			return fmt.Errorf("decode streamed album: %w: %w", err, album.ErrUnavailable)
		}
		if !each(a) {
			return nil
		}
		if ctx.Err() != nil { // the buffer can hold more lines
			return failed(ctx.Err())
		}
		stalled.Reset(c.timeout)
	}
	if err := lines.Err(); err != nil {
		return failed(err)
	}
	return nil
}
