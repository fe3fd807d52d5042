package obtain

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// maxArchive limits the size of an archive whose size is not in the list.
const maxArchive = 1 << 30

// Reasons to continue or to repeat a download.
var (
	errInterrupted = errors.New("download interrupted")
	ErrWrongSum    = errors.New("wrong SHA-256, deleted")
	errOffset      = errors.New("it cannot be continued")
)

// attempts limits the requests of one download.
const attempts = 8

// download completes the file part, and returns nil once its sum is right. A file with a
// wrong sum is deleted.
func (f *Fetcher) download(ctx context.Context, r Release, part string, progress func(done, total int64)) error {
	for n := 1; ; n++ {
		before := size(part)
		err := f.attempt(ctx, r, part, progress)
		if err == nil {
			return nil
		}
		if errors.Is(err, ErrWrongSum) || errors.Is(err, errOffset) {
			if e := os.Remove(part); e != nil {
				return errors.Join(err, e)
			}
			// What was there before can be of another archive or damaged: once more, from the start.
			if before > 0 && n < attempts {
				continue
			}
		}
		if errors.Is(err, errInterrupted) && size(part) > before && n < attempts {
			continue
		}
		if size(part) == 0 {
			os.Remove(part)
		}
		return fmt.Errorf("%s: %w", redacted(f.address(r)), err)
	}
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// attempt sends one request for what part lacks.
func (f *Fetcher) attempt(ctx context.Context, r Release, part string, progress func(done, total int64)) (err error) {
	file, err := os.OpenFile(part, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	sum := sha256.New()
	have, err := io.Copy(sum, file)
	if err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) == r.SHA256 { // complete before it was unpacked
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	late := fmt.Errorf("%w: no data after %s", ErrUnreachable, f.FirstByte)
	first := time.AfterFunc(f.FirstByte, func() { cancel(late) })
	defer first.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.address(r), nil)
	if err != nil {
		return err
	}
	// The archive as it is: a transport that decompresses it would change its sum.
	req.Header.Set("Accept-Encoding", "identity")
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := f.client.Do(req)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, withoutURL(err))
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusOK: // all of it
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if err := file.Truncate(0); err != nil {
			return err
		}
		sum.Reset()
		have = 0
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case have > 0 && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable):
		return errOffset
	default:
		return errors.New(resp.Status)
	}
	total, limit := r.Size, r.Size
	if total == 0 && resp.ContentLength >= 0 {
		total = have + resp.ContentLength
	}
	if limit == 0 {
		limit = maxArchive
	}
	body := &watched{Reader: resp.Body, stop: func() { cancel(fmt.Errorf("%w: no data for %s", errInterrupted, f.Stall)) }, stall: f.Stall}
	body.got = func(n int) {
		first.Stop()
		have += int64(n)
		if progress != nil {
			progress(have, total)
		}
	}
	defer body.end()
	_, err = io.Copy(file, io.TeeReader(io.LimitReader(body, limit-have+1), sum))
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case body.err != nil && body.err != io.EOF:
		return fmt.Errorf("%w: %w", errInterrupted, body.err)
	case err != nil: // of the disk
		return err
	case have > limit:
		return fmt.Errorf("%w: larger than %d bytes", ErrWrongSum, limit)
	case have < r.Size:
		return errInterrupted
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != r.SHA256 {
		return fmt.Errorf("%w: it is %s, want %s", ErrWrongSum, got, r.SHA256)
	}
	return nil
}

// watched calls stop if a read takes longer than stall, except the first.
type watched struct {
	io.Reader
	stop  func()
	stall time.Duration
	got   func(n int)
	timer *time.Timer
	err   error // of the last read
}

func (w *watched) Read(b []byte) (n int, err error) {
	n, err = w.Reader.Read(b)
	w.err = err
	if n == 0 {
		return n, err
	}
	w.got(n)
	if w.timer == nil {
		w.timer = time.AfterFunc(w.stall, w.stop)
	} else {
		w.timer.Reset(w.stall)
	}
	return n, err
}

func (w *watched) end() {
	if w.timer != nil {
		w.timer.Stop()
	}
}
