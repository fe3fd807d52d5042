package report

import (
	"encoding/json"
	"maps"
	"slices"
)

// RenamedKeys maps each key of a JSON object that got a new name to its deprecated one. For
// one release both are written, and a file with the deprecated one alone can be read.
type RenamedKeys map[string]string

// renamedKeys are those of this package, by type.
var renamedKeys = map[string]RenamedKeys{
	"Report":     {"rate_target": "rate_asked", "rate_actual": "rate_reached", "send_delay": "lag", "tail_attribution": "explained"},
	"Interval":   {"rate_target": "rate_asked"},
	"Retries":    {"retry_attempts": "tries"},
	"Histograms": {"send_delay": "lag"},
}

// Encode encodes v, whose JSON is an object, and adds the deprecated keys at its end.
func (k RenamedKeys) Encode(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return nil, err
	}
	b = b[:len(b)-1]
	for _, name := range slices.Sorted(maps.Keys(k)) {
		if value, ok := fields[name]; ok {
			b = append(b, `,"`+k[name]+`":`...)
			b = append(b, value...)
		}
	}
	return append(b, '}'), nil
}

// Decode decodes an object into v. A deprecated key counts where the new one is missing.
func (k RenamedKeys) Decode(b []byte, v any) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(b, &fields); err != nil {
		return err
	}
	old := map[string]json.RawMessage{}
	for name, deprecated := range k {
		if value, ok := fields[deprecated]; ok && fields[name] == nil {
			old[name] = value
		}
	}
	if err := json.Unmarshal(b, v); err != nil || len(old) == 0 {
		return err
	}
	b, err := json.Marshal(old)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// The same types without methods.
type (
	plainReport     Report
	plainInterval   Interval
	plainRetries    Retries
	plainHistograms Histograms
)

func (r Report) MarshalJSON() ([]byte, error) { return renamedKeys["Report"].Encode(plainReport(r)) }
func (r *Report) UnmarshalJSON(b []byte) error {
	return renamedKeys["Report"].Decode(b, (*plainReport)(r))
}

func (i Interval) MarshalJSON() ([]byte, error) {
	return renamedKeys["Interval"].Encode(plainInterval(i))
}
func (i *Interval) UnmarshalJSON(b []byte) error {
	return renamedKeys["Interval"].Decode(b, (*plainInterval)(i))
}

func (r Retries) MarshalJSON() ([]byte, error) {
	return renamedKeys["Retries"].Encode(plainRetries(r))
}
func (r *Retries) UnmarshalJSON(b []byte) error {
	return renamedKeys["Retries"].Decode(b, (*plainRetries)(r))
}

func (h Histograms) MarshalJSON() ([]byte, error) {
	return renamedKeys["Histograms"].Encode(plainHistograms(h))
}
func (h *Histograms) UnmarshalJSON(b []byte) error {
	keys := renamedKeys["Histograms"]
	err := keys.Decode(b, (*plainHistograms)(h))
	for _, deprecated := range keys {
		delete(*h, deprecated)
	}
	return err
}
