// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package graph draws the stacks of a report as an icicle graph. The result is
// a self-contained SVG without scripts; no other program is needed to draw it.
package graph

import (
	"bufio"
	"cmp"
	"encoding/xml"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/internal/report"
)

const (
	width     = 1600
	rowHeight = 19
	margin    = 10
	titleRoom = 44
	// leastWidth is the width in pixels below which a call is omitted.
	leastWidth = 0.8
	// maxDepth is how many calls of a stack are drawn, starting with the
	// outermost.
	maxDepth = 64
	// glyph is the approximate width of a character in pixels.
	glyph = 6.6
)

// A node is a call, identified by the path from the entry function to it.
type node struct {
	function string
	place    string
	category string // category of a state; empty for calls
	count    int
	below    map[string]*node
}

func (n *node) child(function, place string) *node {
	if n.below == nil {
		n.below = make(map[string]*node)
	}
	c := n.below[function]
	if c == nil {
		c = &node{function: function, place: place}
		n.below[function] = c
	}
	return c
}

// SVG writes the stacks of r. Entry functions are at the top; below each call
// are the calls that it made. Each is as wide as its share of the goroutines.
// Below a leaf are the states of its goroutines, in the colours of their
// categories.
func SVG(w io.Writer, r *report.Report) error {
	root, depth := treeOf(r.Stacks)
	b := bufio.NewWriter(w)
	height := titleRoom + rowHeight*(depth+1) + margin
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="ui-monospace,Menlo,Consolas,monospace" font-size="11">`+"\n", width, height, width, height)
	fmt.Fprintf(b, `<rect width="100%%" height="100%%" fill="#ffffff"/><text x="%d" y="20" font-size="15">%s</text><text x="%d" y="36" fill="#666666">entry functions at the top; each row is called by the row above; the last row is the state</text>`+"\n",
		margin, escape(fmt.Sprintf("%d goroutines, %s %s", r.Total, r.Target, r.Time.Format("2006-01-02 15:04:05"))), margin)
	p := painter{w: b, total: r.Total, scale: float64(width-2*margin) / float64(max(1, r.Total))}
	p.children(root, margin, 0)
	fmt.Fprintln(b, "</svg>")
	return b.Flush()
}

func treeOf(stacks []report.Stack) (root *node, depth int) {
	root = &node{}
	for i := range stacks {
		s := &stacks[i]
		at := root
		at.count += s.Count
		calls := s.Frames
		if len(calls) > maxDepth {
			calls = calls[len(calls)-maxDepth:]
		}
		for _, f := range slices.Backward(calls) {
			at = at.child(f.Function, fmt.Sprintf("%s:%d", f.File, f.Line))
			at.count += s.Count
		}
		leaf := at.child("["+s.State+"]", "")
		leaf.category = s.Category
		leaf.count += s.Count
		depth = max(depth, len(calls)+1)
	}
	return root, depth
}

type painter struct {
	w     io.Writer
	total int
	scale float64 // pixels per goroutine
}

func (p *painter) children(n *node, x float64, row int) {
	list := make([]*node, 0, len(n.below))
	for _, c := range n.below {
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b *node) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.function, b.function))
	})
	for _, c := range list {
		p.box(c, x, row)
		x += float64(c.count) * p.scale
	}
}

func (p *painter) box(n *node, x float64, row int) {
	wide := float64(n.count) * p.scale
	if wide < leastWidth {
		return
	}
	y := titleRoom + row*rowHeight
	title := fmt.Sprintf("%s\n%s\n%d goroutines, %.1f%%", n.function, n.place, n.count, 100*float64(n.count)/float64(max(1, p.total)))
	fmt.Fprintf(p.w, `<g><title>%s</title><rect x="%.1f" y="%d" width="%.1f" height="%d" rx="2" fill="%s" stroke="#ffffff"/>`, escape(title), x, y, wide, rowHeight, colour(n))
	if room := int((wide - 6) / glyph); room >= 3 {
		fmt.Fprintf(p.w, `<text x="%.1f" y="%d">%s</text>`, x+3, y+13, escape(label(n, room)))
	}
	fmt.Fprintln(p.w, "</g>")
	p.children(n, x, row+1)
}

func label(n *node, room int) string {
	text := short(n.function)
	if n.category != "" {
		text = fmt.Sprintf("%s %d", strings.Trim(n.function, "[]"), n.count)
	}
	runes := []rune(text)
	if len(runes) <= room {
		return text
	}
	return string(runes[:room-1]) + "…"
}

// categoryColours are the colours of the categories of states.
var categoryColours = map[string]string{
	"channel": "#7fb2e5", "mutex": "#f08a80", "network": "#86c98a", "timer": "#d8c46a",
	"syscall": "#b79be0", "running": "#f5a95b", "parked": "#b8c0c8", "other": "#b8c0c8",
}

// colour returns the colour of a state's category. For a call it returns a pale
// colour that depends on the package.
func colour(n *node) string {
	if c := categoryColours[n.category]; c != "" {
		return c
	}
	h := uint32(2166136261)
	pkg, _, _ := strings.Cut(short(n.function), ".")
	for _, c := range []byte(pkg) {
		h = (h ^ uint32(c)) * 16777619
	}
	return fmt.Sprintf("hsl(%d,45%%,%d%%)", h%360, 84+h/360%6)
}

// short returns a function's name without the path of its package. Type
// arguments are kept in full.
func short(function string) string {
	name := strings.Index(function+"[", "[")
	return path.Base(function[:name]) + function[name:]
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder never fails
	return b.String()
}
