package verify

import (
	"fmt"
	"slices"
	"strings"

	"soundcheck/internal/jaegerapi"
)

// tree is a trace with one root.
type tree struct {
	root     *span
	children map[string][]*span
}

// newTree returns an error if the spans of a trace are no tree: no root or two, a span whose
// parent is missing, one of another trace, or one twice.
func newTree(t traceOf) (*tree, error) {
	tr := &tree{children: map[string][]*span{}}
	seen := map[string]bool{}
	for _, s := range t {
		switch {
		case s.TraceID != t[0].TraceID:
			return nil, fmt.Errorf("two trace ids: %s and %s", t[0].TraceID, s.TraceID)
		case seen[s.SpanID]:
			return nil, fmt.Errorf("span %s is stored twice", s.SpanID)
		case s.parent == "" && tr.root != nil:
			return nil, fmt.Errorf("two roots: %v and %v", tr.root, s)
		case s.parent == "":
			tr.root = s
		}
		seen[s.SpanID] = true
		tr.children[s.parent] = append(tr.children[s.parent], s)
	}
	for _, s := range t {
		if p := s.parent; p != "" && !seen[p] {
			return nil, fmt.Errorf("orphan: the parent %s of %v is missing", p, s)
		}
	}
	if tr.root == nil {
		return nil, fmt.Errorf("no root in %d spans", len(t))
	}
	if n := tr.count(tr.root); n != len(t) {
		return nil, fmt.Errorf("%d of %d spans are below the root", n, len(t))
	}
	return tr, nil
}

func (t *tree) count(s *span) int {
	n := 1
	for _, c := range t.children[s.SpanID] {
		n += t.count(c)
	}
	return n
}

// below returns the children of a span, with waits replaced by their children.
func (t *tree) below(s *span) []*span {
	var list []*span
	for _, c := range t.children[s.SpanID] {
		if waits(c) {
			list = append(list, t.below(c)...)
		} else {
			list = append(list, c)
		}
	}
	return list
}

// requestShape returns an error if a trace is not that of a request through the proxy.
// From is the client's service; "" is a client without spans. Statements: the store
// has a database.
func requestShape(t traceOf, from string, statements bool) error {
	tr, err := newTree(t)
	if err != nil {
		return err
	}
	level := 0
	if from == "" {
		level = 1
	}
	if want := levels[level].service; !tr.root.is(want+strings.Repeat(from, 1-level), levels[level].kind) {
		return fmt.Errorf("the root is %v, want %s %s", tr.root, want+from, levels[level].kind)
	}
	return tr.descend(tr.root, level, tr.root.OperationName, statements)
}

// descend checks the spans below a span of a level.
func (t *tree) descend(s *span, level int, operation string, statements bool) error {
	last, call := level == len(levels)-1, levels[level].kind == "internal"
	below := t.below(s)
	switch want := calls(operation); {
	case call && !slices.Contains(want, s.OperationName):
		return fmt.Errorf("%v in a %s, want one of %v", s, operation, want)
	case !call && !last && s.OperationName != operation:
		return fmt.Errorf("%v in a trace of %q", s, operation)
	case last && len(below) > 0:
		return fmt.Errorf("%v is below %v", below[0], s)
	case last:
		return nil
	}
	next := levels[level+1]
	for _, c := range below {
		if !c.is(next.service, next.kind) {
			return fmt.Errorf("%v is below %v, want %s %s", c, s, next.service, next.kind)
		}
	}
	for _, c := range below {
		if err := t.descend(c, level+1, operation, statements); err != nil {
			return err
		}
	}
	return t.enough(s, level, len(below), statements)
}

// enough returns an error if too few or too many spans are below a span.
func (t *tree) enough(s *span, level, below int, statements bool) error {
	next := levels[level+1]
	missing := fmt.Errorf("no %s %s below %v", next.service, next.kind, s)
	switch {
	case s.kind() == "server" && below == 0 && s.status() >= 400:
		return nil // the service rejected or shed it
	case s.kind() == "client" && below == 0 && s.status() == 0:
		return nil // no response: the request may not have arrived
	case s.kind() == "internal":
		if below == 0 && statements {
			return missing
		}
		return nil
	case below == 0:
		return missing
	case below > 1 && (s.kind() == "client" || s.is(storeService, "server")):
		return fmt.Errorf("%d spans below %v, want one", below, s)
	}
	return nil // the proxy may make several attempts
}

// workShape returns an error if a trace is not that of an asynchronous operation, which links to
// the request that submitted it.
func workShape(t traceOf, statements bool) (request jaegerapi.Reference, err error) {
	tr, err := newTree(t)
	if err != nil {
		return request, err
	}
	if !tr.root.is(storeService, "consumer") || tr.root.OperationName != workName {
		return request, fmt.Errorf("the root is %v, want %s consumer %s", tr.root, storeService, workName)
	}
	for _, r := range tr.root.References {
		if r.TraceID != tr.root.TraceID {
			request = r
		}
	}
	if request.TraceID == "" {
		return request, fmt.Errorf("%v links to no request", tr.root)
	}
	below := tr.below(tr.root)
	for _, c := range below {
		if !c.is(storeService, "client") {
			return request, fmt.Errorf("%v is below %v, want a statement", c, tr.root)
		}
	}
	if len(below) == 0 && statements {
		return request, fmt.Errorf("no statement below %v", tr.root)
	}
	return request, nil
}
