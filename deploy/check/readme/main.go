// Command readme writes the table of values of each chart into its page, from the comments of its values.yaml.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

// pages are the pages with values of a chart, relative to deploy/check, where make chart-readme runs this.
var pages = []struct{ page, values string }{
	{"../charts/soundcheck/README.md", "../charts/soundcheck/values.yaml"},
	{"../../docs/kubernetes.md", "../charts/soundcheck-load/values.yaml"},
}

const begin, end = "<!-- values: made by make chart-readme -->\n", "<!-- end of values -->\n"

func main() {
	for _, p := range pages {
		if err := run(p.page, p.values); err != nil {
			fmt.Fprintf(os.Stderr, "readme: %s: %v\n", p.page, err)
			os.Exit(1)
		}
	}
}

func run(page, values string) error {
	old, text, err := read(page, values)
	if err != nil || bytes.Equal(text, old) {
		return err
	}
	return os.WriteFile(page, text, 0o644)
}

// read returns a page as it is and as it should be.
func read(page, values string) (is, want []byte, err error) {
	if is, err = os.ReadFile(page); err != nil {
		return nil, nil, err
	}
	text, err := os.ReadFile(values)
	if err != nil {
		return nil, nil, err
	}
	want, err = update(is, text)
	return is, want, err
}

// update returns the page with the table of these values between the two marks.
func update(page, values []byte) ([]byte, error) {
	head, rest, ok := bytes.Cut(page, []byte(begin))
	_, tail, ok2 := bytes.Cut(rest, []byte(end))
	if !ok || !ok2 {
		return nil, fmt.Errorf("the page lacks %q or %q", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	table, err := table(values)
	if err != nil {
		return nil, err
	}
	return bytes.Join([][]byte{head, []byte(begin), table, []byte(end), tail}, nil), nil
}

// table returns one row for each value: its name, its default and its comment "# -- …".
func table(values []byte) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(values, &doc); err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	if len(doc.Content) == 0 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("values.yaml has no values")
	}
	w := writer{of: map[string]string{}}
	w.WriteString("| value | default | description |\n| --- | --- | --- |\n")
	if err := w.rows("", doc.Content[0]); err != nil {
		return nil, err
	}
	return w.Bytes(), nil
}

type writer struct {
	bytes.Buffer
	of map[string]string // descriptions by the last part of a name
}

func (w *writer) rows(prefix string, m *yaml.Node) error {
	for i := 0; i < len(m.Content); i += 2 {
		key, value := m.Content[i], m.Content[i+1]
		name := prefix + key.Value
		text := description(key.HeadComment)
		// Components have values of the same name. The store's have the comments.
		if text == "" {
			text = w.of[key.Value]
		}
		if value.Kind == yaml.MappingNode && value.Style != yaml.FlowStyle && text == "" {
			if err := w.rows(name+".", value); err != nil {
				return err
			}
			continue
		}
		if text == "" {
			return fmt.Errorf("values.yaml:%d: %s has no comment \"# -- description\"", key.Line, name)
		}
		if _, ok := w.of[key.Value]; !ok || prefix == "store." {
			w.of[key.Value] = text
		}
		var v any
		if err := value.Decode(&v); err != nil {
			return fmt.Errorf("values.yaml:%d: %s: %w", key.Line, name, err)
		}
		b, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("values.yaml:%d: %s: %w", key.Line, name, err)
		}
		fmt.Fprintf(w, "| `%s` | `%s` | %s |\n", name, bytes.ReplaceAll(b, []byte("|"), []byte(`\|`)), strings.ReplaceAll(text, "|", `\|`))
	}
	return nil
}

// description returns the text of a comment after "# --", on one line.
func description(comment string) string {
	_, text, ok := strings.Cut(comment, "# -- ")
	if !ok {
		return ""
	}
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.Join(lines, " ")
}
