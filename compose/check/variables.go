package check

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/template"
	"gopkg.in/yaml.v3"
)

// Variables returns what is wrong with the variables of a file: each has a default, or
// a message that says what to do.
func Variables(file []byte) ([]string, error) {
	// Compose's own tags mean nothing here.
	text := regexp.MustCompile(`!(reset|override)`).ReplaceAllString(string(file), "")
	var model map[string]any
	if err := yaml.Unmarshal([]byte(text), &model); err != nil {
		return nil, err
	}
	var problems []string
	all := template.ExtractVariables(model, template.DefaultPattern)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		// An empty default is one too, and is told from none only in the text.
		if v := all[name]; v.DefaultValue == "" && !v.Required && !strings.Contains(text, "${"+name+":-}") {
			problems = append(problems, fmt.Sprintf("$%s has no default, and no message if it is missing", name))
		}
	}
	return problems, nil
}
