package otlp

import (
	"bytes"
	"fmt"
	"io"
	"time"
)

// WriteText writes what Check found at an endpoint, and the variables that make an exporter use it.
func WriteText(w io.Writer, endpoint string, results []Probe) error {
	var b bytes.Buffer
	for _, r := range results {
		if r.OK {
			fmt.Fprintf(&b, "%-14s ok      %s, %s\n", r.Protocol, r.Saw, r.Took.Round(time.Millisecond/10))
			continue
		}
		fmt.Fprintf(&b, "%-14s failed  %s\n", r.Protocol, r.Saw)
		fmt.Fprintf(&b, "               cause: %s\n               fix:   %s\n", r.Cause, r.Fix)
	}
	for _, r := range results {
		if r.OK {
			fmt.Fprintf(&b, "\nexport OTEL_EXPORTER_OTLP_ENDPOINT=%s OTEL_EXPORTER_OTLP_PROTOCOL=%s\n", endpoint, r.Protocol)
			break
		}
	}
	_, err := w.Write(b.Bytes())
	return err
}
