// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package alertrules

import (
	"fmt"
	"text/template/parse"
)

// A template is the parsed text of an annotation. Its variables $labels and
// $value are the labels and the value of the alert.
type template struct{ root *parse.ListNode }

// variables declares what Prometheus declares before it parses an annotation.
const variables = `{{$labels := .}}{{$value := .}}`

// parseTemplate parses an annotation. It does not check functions: they are
// those of the program that expands the annotation.
func parseTemplate(text string) (template, error) {
	t := parse.New("annotation")
	t.Mode = parse.SkipFuncCheck
	if _, err := t.Parse(variables+text, "{{", "}}", make(map[string]*parse.Tree)); err != nil {
		return template{}, fmt.Errorf("annotation %q: %w", text, err)
	}
	t.Root.Nodes = t.Root.Nodes[2:]
	return template{t.Root}, nil
}

// String returns the text of the template.
func (t template) String() string { return t.root.String() }

// arguments replaces the arguments of all commands by what fn returns for them.
func (t template) arguments(fn func(parse.Node) (parse.Node, error)) error {
	return inList(t.root, fn)
}

type replace = func(parse.Node) (parse.Node, error)

func inList(list *parse.ListNode, fn replace) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		if err := inNode(n, fn); err != nil {
			return err
		}
	}
	return nil
}

func inNode(n parse.Node, fn replace) error {
	switch n := n.(type) {
	case *parse.TextNode:
		return nil
	case *parse.ActionNode:
		return inPipe(n.Pipe, fn)
	case *parse.IfNode:
		return inBranch(&n.BranchNode, fn)
	case *parse.WithNode:
		return inBranch(&n.BranchNode, fn)
	case *parse.RangeNode:
		return inBranch(&n.BranchNode, fn)
	}
	return fmt.Errorf("the action %s cannot be translated: use text, values, if, with and range", n)
}

func inBranch(b *parse.BranchNode, fn replace) error {
	if err := inPipe(b.Pipe, fn); err != nil {
		return err
	}
	if err := inList(b.List, fn); err != nil {
		return err
	}
	return inList(b.ElseList, fn)
}

func inPipe(p *parse.PipeNode, fn replace) error {
	for _, c := range p.Cmds {
		for i, arg := range c.Args {
			next, err := fn(arg)
			if err != nil {
				return err
			}
			c.Args[i] = next
		}
	}
	return nil
}

// withoutQueries removes what depends on a query. Where such a block has an
// else, that is what remains.
func (t template) withoutQueries() template {
	return template{&parse.ListNode{NodeType: parse.NodeList, Nodes: withoutQueries(t.root)}}
}

func withoutQueries(list *parse.ListNode) []parse.Node {
	if list == nil {
		return nil
	}
	var kept []parse.Node
	for _, n := range list.Nodes {
		if b := branch(n); b == nil || !queries(b.Pipe) {
			kept = append(kept, n)
		} else {
			kept = append(kept, withoutQueries(b.ElseList)...)
		}
	}
	return kept
}

// branch returns the node as one with a condition and two lists, or nil.
func branch(n parse.Node) *parse.BranchNode {
	switch n := n.(type) {
	case *parse.IfNode:
		return &n.BranchNode
	case *parse.WithNode:
		return &n.BranchNode
	case *parse.RangeNode:
		return &n.BranchNode
	}
	return nil
}

// queries tells whether a pipeline calls the function query.
func queries(p *parse.PipeNode) bool {
	for _, c := range p.Cmds {
		for _, arg := range c.Args {
			if id, ok := arg.(*parse.IdentifierNode); ok && id.Ident == "query" {
				return true
			}
		}
	}
	return false
}

// label returns the name of a label if the node is its value, as in
// $labels.job or, of the result of a query, .Labels.job. It also returns the node
// for all labels.
func label(n parse.Node) (name string, of parse.Node) {
	switch n := n.(type) {
	case *parse.VariableNode:
		if len(n.Ident) == 2 && n.Ident[0] == "$labels" {
			return n.Ident[1], &parse.VariableNode{NodeType: parse.NodeVariable, Ident: n.Ident[:1]}
		}
	case *parse.FieldNode:
		if len(n.Ident) == 2 && n.Ident[0] == "Labels" {
			return n.Ident[1], &parse.FieldNode{NodeType: parse.NodeField, Ident: n.Ident[:1]}
		}
	}
	return "", nil
}
