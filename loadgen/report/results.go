package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	vegeta "github.com/tsenart/vegeta/v12/lib"
)

const (
	// resultsWindow is how far back the compression looks for repetitions: some hundred requests.
	resultsWindow = 128 << 10
	// flushEvery is how much of the run a killed process loses at most.
	flushEvery = 5 * time.Second
)

// results writes each request as a line of vegeta's CSV, in one zstd frame. It goes to the file block by block: what
// is there can be read, even if the process is killed.
type results struct {
	file    *os.File
	zstd    *zstd.Encoder
	encode  vegeta.Encoder
	flushed time.Time // send time of the last flush
}

func newResults(path string) (*results, error) {
	// It has the headers of the responses, and those may be secret.
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	// Without goroutines: they would take turns with the workers that send.
	z, err := zstd.NewWriter(file, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(resultsWindow))
	if err != nil {
		return nil, errors.Join(err, file.Close(), os.Remove(path))
	}
	return &results{file: file, zstd: z, encode: vegeta.NewCSVEncoder(z)}, nil
}

func (w *results) add(r *vegeta.Result) error {
	if w.flushed.IsZero() {
		w.flushed = r.Timestamp
	}
	err := w.encode(r)
	if r.Timestamp.Sub(w.flushed) >= flushEvery {
		w.flushed, err = r.Timestamp, errors.Join(err, w.zstd.Flush())
	}
	return err
}

func (w *results) close() error { return errors.Join(w.zstd.Close(), w.file.Close()) }

// WriteResults writes the raw results of a directory as CSV in vegeta's format. Those of a run that was killed end with
// an error.
func WriteResults(path string, w io.Writer) error {
	name := filepath.Join(path, resultsFile)
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		if part, e := os.Open(name + partSuffix); e == nil {
			file, err = part, nil
		}
	}
	if _, e := os.Stat(filepath.Join(path, oldResults)); err != nil && e == nil {
		return fmt.Errorf("%s has %s of an earlier release: vegeta encode -to csv %s", path, oldResults, filepath.Join(path, oldResults))
	}
	if err != nil {
		return fmt.Errorf("no raw results, which only -out writes: %w", err)
	}
	defer file.Close()
	z, err := zstd.NewReader(bufio.NewReaderSize(file, resultsWindow), zstd.WithDecoderConcurrency(1))
	if err != nil {
		return err
	}
	defer z.Close()
	if _, err = io.Copy(w, z); errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s is not complete: the run was killed", file.Name())
	} else if err != nil {
		return fmt.Errorf("%s: %w", file.Name(), err)
	}
	return nil
}
