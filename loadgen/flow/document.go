package flow

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxNesting is the max depth of a file.
const maxNesting = 1000

// checkNesting returns an error for nested collections for which the YAML library needs gigabytes: memory by the square of
// the depth. Indented ones of such a depth are a file of that size themselves.
func checkNesting(text []byte) error {
	depth, line := 0, 1
	for row := range bytes.Lines(text) {
		begins := 0 // collections that begin with "- " or "? "
		for rest := bytes.TrimLeft(row, " "); len(rest) > 1 && (rest[0] == '-' || rest[0] == '?') && rest[1] == ' '; rest = bytes.TrimLeft(rest[2:], " ") {
			begins++
		}
		for _, c := range row {
			switch c {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(depth-1, 0)
			}
			if depth+begins > maxNesting {
				return fmt.Errorf("%d: lists and maps are more than %d deep", line, maxNesting)
			}
		}
		line++
	}
	return nil
}

// checkDocument returns an error for YAML that means something else than it seems to. The YAML library reads the first
// document only.
func checkDocument(text []byte) error {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil // reading it fails too, with a better message
	}
	documents := 0
	for _, d := range tree.Docs {
		if d.Body == nil {
			continue
		}
		if documents++; documents > 1 {
			return fmt.Errorf("%d: a second YAML document: a file has one flow", lineOfNode(d.Body))
		}
		v := &octals{}
		ast.Walk(v, d.Body)
		if v.err != nil {
			return v.err
		}
	}
	return nil
}

// octals finds integers with a leading zero: 0123 is 83 in YAML 1.1, and likely a zip code.
type octals struct{ err error }

var octalPattern = regexp.MustCompile(`^[-+]?0[0-9_]+$`)

// Visit implements ast.Visitor.
func (v *octals) Visit(n ast.Node) ast.Visitor {
	if x, ok := n.(*ast.IntegerNode); ok && v.err == nil && octalPattern.MatchString(x.GetToken().Value) {
		v.err = fmt.Errorf("%d: %s is an octal number in YAML: quote it, as in %q", lineOfNode(x), x.GetToken().Value, x.GetToken().Value)
	}
	return v
}

func lineOfNode(n ast.Node) int {
	if t := n.GetToken(); t != nil {
		return t.Position.Line
	}
	return 1
}

// lineOf returns the line of a place of the file.
func lineOf(text []byte, at string) int {
	for ; at != ""; at = at[:max(strings.LastIndexAny(at, ".["), 0)] {
		path, err := yaml.PathString(at)
		if err != nil {
			continue
		}
		tree, err := parser.ParseBytes(text, 0)
		if err != nil {
			return 1
		}
		if node, err := path.FilterFile(tree); err == nil {
			return lineOfNode(node)
		}
	}
	return 1
}
