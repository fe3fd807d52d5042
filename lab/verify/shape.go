package verify

import (
	"fmt"
	"slices"
	"strings"
)

// tree is a trace whose every span hangs on its root.
type tree struct {
	root     *span
	children map[string][]*span
}

// plant returns an error if the spans of a trace are no tree: no root or two, a span whose
// parent is missing, one of another trace, or one twice.
func plant(t traceOf) (*tree, error) {
	tr := &tree{children: map[string][]*span{}}
	seen := map[string]bool{}
	for _, s := range t {
		switch {
		case s.TraceID != t[0].TraceID:
			return nil, fmt.Errorf("two trace ids: %s and %s", t[0].TraceID, s.TraceID)
		case seen[s.SpanID]:
			return nil, fmt.Errorf("span %s is there twice", s.SpanID)
		case s.parent() == "" && tr.root != nil:
			return nil, fmt.Errorf("two roots: %v and %v", tr.root, s)
		case s.parent() == "":
			tr.root = s
		}
		seen[s.SpanID] = true
		tr.children[s.parent()] = append(tr.children[s.parent()], s)
	}
	for _, s := range t {
		if p := s.parent(); p != "" && !seen[p] {
			return nil, fmt.Errorf("orphan: the parent %s of %v is missing", p, s)
		}
	}
	if tr.root == nil {
		return nil, fmt.Errorf("no root in %d spans", len(t))
	}
	if n := tr.count(tr.root); n != len(t) {
		return nil, fmt.Errorf("%d of %d spans hang on the root", n, len(t))
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

// below returns the children of a span that are no waits, also those below a wait.
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
// From is who sent it; "" is somebody who makes no spans. Statements says whether the store
// has a database.
func requestShape(t traceOf, from string, statements bool) error {
	tr, err := plant(t)
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

// descend checks what hangs on a span of a level.
func (t *tree) descend(s *span, level int, operation string, statements bool) error {
	last, call := level == len(levels)-1, levels[level].kind == "internal"
	below := t.below(s)
	switch want := calls(operation); {
	case call && !slices.Contains(want, s.OperationName):
		return fmt.Errorf("%v in a %s, want one of %v", s, operation, want)
	case !call && !last && s.OperationName != operation:
		return fmt.Errorf("%v in a trace of %q", s, operation)
	case last && len(below) > 0:
		return fmt.Errorf("%v hangs on %v", below[0], s)
	case last:
		return nil
	}
	next := levels[level+1]
	for _, c := range below {
		if !c.is(next.service, next.kind) {
			return fmt.Errorf("%v hangs on %v, want %s %s", c, s, next.service, next.kind)
		}
	}
	for _, c := range below {
		if err := t.descend(c, level+1, operation, statements); err != nil {
			return err
		}
	}
	return t.enough(s, level, len(below), statements)
}

// enough returns an error if too little or too much hangs on a span.
func (t *tree) enough(s *span, level, below int, statements bool) error {
	next := levels[level+1]
	missing := fmt.Errorf("no %s %s below %v", next.service, next.kind, s)
	switch {
	case s.kind() == "server" && below == 0 && s.status() >= 400:
		return nil // the service refused it itself
	case s.kind() == "client" && below == 0 && s.status() == 0:
		return nil // nobody answered: it may not have got there
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
	return nil // the proxy may try more than once
}

// workShape returns an error if a trace is not that of an operation's work, which links to
// the request that asked for it.
func workShape(t traceOf, statements bool) (request reference, err error) {
	tr, err := plant(t)
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
			return request, fmt.Errorf("%v hangs on %v, want a statement", c, tr.root)
		}
	}
	if len(below) == 0 && statements {
		return request, fmt.Errorf("no statement below %v", tr.root)
	}
	return request, nil
}
