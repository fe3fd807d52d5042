package flow

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
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

// yamlError returns an error of the YAML library in one line. It names the field of a value of another type.
func yamlError(text []byte, err error) error {
	want, place := "", (*token.Token)(nil)
	if e, ok := errors.AsType[*yaml.TypeError](err); ok {
		want, place = map[reflect.Kind]string{reflect.Bool: "true or false", reflect.String: "a text", reflect.Int: "a whole number"}[e.DstType.Kind()], e.Token
	} else if e, ok := errors.AsType[*yaml.OverflowError](err); ok {
		want, place = "in range", e.Token
	} else if e, ok := errors.AsType[*yaml.UnexpectedNodeTypeError](err); ok {
		want, place = map[ast.NodeType]string{ast.MappingType: "a map", ast.SequenceType: "a list"}[e.Expected], e.Token
	}
	if name := nameAt(text, place); want != "" && name != "" {
		return fmt.Errorf("%d: %s is not %s", place.Position.Line, name, want)
	}
	message, _, _ := strings.Cut(yaml.FormatError(err, false, false), "\n")
	if position, message, ok := strings.Cut(strings.TrimPrefix(message, "["), "] "); ok {
		line, _, _ := strings.Cut(position, ":")
		if _, err := strconv.Atoi(line); err == nil {
			return errors.New(line + ": " + message)
		}
	}
	return errors.New("1: " + message)
}

// nameAt returns the field that begins at a token, as in steps[0].continue; "": none does.
func nameAt(text []byte, t *token.Token) string {
	tree, err := parser.ParseBytes(text, 0)
	if err != nil || t == nil {
		return ""
	}
	v := &finder{at: t.Position.Offset}
	for _, d := range tree.Docs {
		if d.Body != nil {
			ast.Walk(v, d.Body)
		}
	}
	if v.path == "$" {
		return "the file"
	}
	return strings.TrimPrefix(v.path, "$.")
}

// finder finds the path of the outermost value that begins at an offset.
type finder struct {
	at   int
	path string
}

// Visit implements ast.Visitor.
func (v *finder) Visit(n ast.Node) ast.Visitor {
	if t := n.GetToken(); v.path == "" && t != nil && t.Position.Offset == v.at {
		v.path = n.GetPath()
	}
	return v
}
