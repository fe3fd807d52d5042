// Package debugging tests docs/kubernetes-debugging.md: it injects each fault into a release on a cluster, runs the
// commands of the page, compares their output with the symptom of the page, and applies the fix of the page.
package debugging

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Entry is one fault of the page.
type Entry struct {
	Title    string // without its number
	Symptom  []string
	Commands []string
	Cause    string
	Fix      []string
}

var heading = regexp.MustCompile(`^## (\d+)\. (.+)$`)

// Parse reads the entries of the page: headings "## 1. Title", in each "Symptom:", "Commands:", "Cause: …" and "Fix:",
// the blocks of code after the first two and the last.
func Parse(page string) ([]Entry, error) {
	var entries []Entry
	var e *Entry
	part, block := "", false
	for i, line := range strings.Split(page, "\n") {
		if m := heading.FindStringSubmatch(line); m != nil && !block {
			if want := fmt.Sprint(len(entries) + 1); m[1] != want {
				return nil, fmt.Errorf("line %d: entry %s, want number %s", i+1, m[1], want)
			}
			entries = append(entries, Entry{Title: m[2]})
			e, part = &entries[len(entries)-1], ""
			continue
		}
		switch {
		case e == nil:
		case strings.HasPrefix(line, "```"):
			block = !block
		case block:
			switch part {
			case "Symptom":
				e.Symptom = append(e.Symptom, line)
			case "Commands":
				e.Commands = append(e.Commands, line)
			case "Fix":
				e.Fix = append(e.Fix, line)
			default:
				return nil, fmt.Errorf("line %d: a block of code after %q: move it below Symptom, Commands or Fix", i+1, part)
			}
		default:
			name, rest, ok := strings.Cut(line, ":")
			if ok && slices.Contains([]string{"Symptom", "Commands", "Cause", "Fix"}, name) {
				part = name
				line = rest
			}
			if part == "Cause" {
				e.Cause = strings.TrimSpace(e.Cause + " " + strings.TrimSpace(line))
			}
		}
	}
	if block {
		return nil, fmt.Errorf("the last block of code has no end")
	}
	return entries, nil
}

// Problems are the reasons why an entry cannot be followed or tested.
func (e Entry) Problems() []string {
	var out []string
	for _, part := range []struct {
		name  string
		empty bool
	}{
		{"Symptom", len(e.Symptom) == 0}, {"Commands", len(e.Commands) == 0},
		{"Cause", e.Cause == ""}, {"Fix", len(e.Fix) == 0},
	} {
		if part.empty {
			out = append(out, e.Title+": has no "+part.name)
		}
	}
	for _, c := range slices.Concat(e.Commands, e.Fix) {
		words, err := split(c)
		switch {
		case err != nil:
			out = append(out, fmt.Sprintf("%s: %s: %v", e.Title, c, err))
		case words[0] != "kubectl" && words[0] != "helm" && !strings.HasPrefix(c, "go run ./lab "):
			out = append(out, fmt.Sprintf("%s: %s: only kubectl, helm and go run ./lab", e.Title, c))
		case words[0] == "helm" && !strings.Contains(c, " deploy/charts/soundcheck -n soundcheck "):
			out = append(out, fmt.Sprintf("%s: %s: has no deploy/charts/soundcheck -n soundcheck", e.Title, c))
		}
	}
	return out
}

// Missing are the lines of a symptom that an output does not have. Spaces match any number of spaces, … any text.
func (e Entry) Missing(output string) []string {
	return slices.DeleteFunc(slices.Clone(e.Symptom), func(line string) bool { return pattern(line).MatchString(output) })
}

// Present are the lines of a symptom that an output has.
func (e Entry) Present(output string) []string {
	return slices.DeleteFunc(slices.Clone(e.Symptom), func(line string) bool { return !pattern(line).MatchString(output) })
}

func pattern(line string) *regexp.Regexp {
	p := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(line)), "…", ".*")
	return regexp.MustCompile(regexp.MustCompile(` +`).ReplaceAllString(p, `[ \t]+`))
}

// split makes words of a command as a shell does. Pipes, variables and the like are errors: a test runs no shell.
func split(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	quote, open := rune(0), false
	for _, r := range command {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == '\'' || (quote == '"' && r != '$' && r != '`' && r != '\\'):
			word.WriteRune(r)
		case r == '\'' || r == '"':
			quote, open = r, true
		case r == ' ':
			if open || word.Len() > 0 {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		case strings.ContainsRune("|&;<>$`\\*?#(){}", r):
			return nil, fmt.Errorf("%q outside of quotes: no shell", r)
		default:
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("no closing %q", quote)
	}
	if open || word.Len() > 0 {
		words = append(words, word.String())
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("no command")
	}
	return words, nil
}
