package load

import (
	"os"
	"strings"

	"soundcheck/loadgen/contract"
	"soundcheck/loadgen/flow"
	"soundcheck/loadgen/targets"
)

// maxText is the max length of a text, in bytes.
const maxText = 1 << 20

// checkTexts checks the texts of files with loadgen's own code. They must not name other files: a page does not read files
// of this machine, and loadgen would send them to any target.
func checkTexts(values Values) error {
	for name, check := range map[string]func(string) error{
		"flow": func(text string) error {
			_, err := flow.Parse("flow.yaml", text)
			return err
		},
		"targets": func(text string) error {
			_, err := targets.Options{Closed: true}.Read("targets.txt", strings.NewReader(text))
			return err
		},
		"openapi": func(text string) error {
			_, err := contract.Parse("openapi.yaml", []byte(text))
			return err
		},
	} {
		if text := values.first(name); text != "" {
			if err := check(text); err != nil {
				return &BadValue{name, "-" + name + ": " + err.Error()}
			}
		}
	}
	return nil
}

// writeTexts writes the texts to the files that loadgen reads.
func (r *Runner) writeTexts(values Values) error {
	for _, f := range flags {
		if text := values.first(f.name); f.file != "" && text != "" {
			if err := os.WriteFile(r.file(f.file), []byte(text), 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}
