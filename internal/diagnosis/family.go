// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A family is what a dump says about which goroutines created which, and where those are
// that others may wait for.
type family struct {
	dump     *dump
	complete bool // all goroutines are listed
	byID     map[uint64]*parse.Detail
	children map[uint64]bool // goroutines that created others which are in the dump
	creators map[string]bool // the functions with their go statements, for dumps without IDs of creators
	lines    map[string]int  // by function, the last line at which a goroutine is
	bodies   int             // goroutines that read the body of an HTTP response
}

func (d *dump) family() *family {
	f := &family{complete: len(d.Goroutines) == d.Total && d.Missing == 0, dump: d, byID: make(map[uint64]*parse.Detail), children: make(map[uint64]bool), creators: make(map[string]bool), lines: make(map[string]int)}
	for i := range d.Goroutines {
		g := &d.Goroutines[i]
		if g.ID != 0 {
			f.byID[g.ID] = g
		}
		if g.Parent != 0 && g.CreatedBy.Function != backgroundRead {
			f.children[g.Parent] = true
		}
		if g.Parent == 0 && g.CreatedBy.Function != "" {
			f.creators[g.CreatedBy.Function] = true
		}
		f.place(g)
	}
	return f
}

// backgroundRead creates the goroutine with which a server notices that a client goes.
const backgroundRead = "net/http.(*connReader).startBackgroundRead"

// place notes where a goroutine is.
func (f *family) place(g *parse.Detail) {
	for _, frame := range g.Stack.Frames {
		if !frame.Standard() {
			f.lines[frame.Function] = max(f.lines[frame.Function], frame.Line)
		}
	}
	if g.Stack.Has("net/http.(*bodyEOFSignal).Read") {
		f.bodies += g.Count()
	}
}

// beyond reports whether a goroutine is in the same function, at a later line.
func (f *family) beyond(at goroutine.Frame) bool { return f.lines[at.Function] > at.Line }

// parents returns how many of the goroutines at a place have created others that are in
// the dump.
func (f *family) parents(p *waitPlace) (n int) {
	byFunction := slices.ContainsFunc(p.group.Stack.Frames, func(frame goroutine.Frame) bool { return f.creators[frame.Function] })
	for _, w := range p.waits {
		if f.children[w.ID] || byFunction {
			n += w.Count
		}
	}
	return n
}

// siblings reports whether another go statement of the function that created goroutines at
// a place has created goroutines that are in the dump, in the same call as far as it shows.
func (f *family) siblings(p *waitPlace) bool {
	by := p.group.CreatedBy
	for i := range f.dump.Goroutines {
		g := &f.dump.Goroutines[i]
		if by.Function != "" && g.CreatedBy.Function == by.Function && g.CreatedBy.Line != by.Line && f.sameParent(p, g) {
			return true
		}
	}
	return false
}

// sameParent reports whether the goroutine that created g created one at the place.
func (f *family) sameParent(p *waitPlace, g *parse.Detail) bool {
	for _, w := range p.waits {
		if own := f.byID[w.ID]; own != nil && own.Parent == g.Parent {
			return true
		}
	}
	return false
}

// apart returns how many goroutines created those at a place, if none of them is still in
// the function that did so; 0 otherwise, and when that is unknown.
func (f *family) apart(p *waitPlace) int {
	parents := make(map[uint64]bool)
	for _, w := range p.waits {
		g := f.byID[w.ID]
		if g == nil || g.Parent == 0 {
			continue
		}
		parent := f.byID[g.Parent]
		if parent == nil && !f.complete {
			continue // it may be one of those that are not listed
		}
		if parent != nil && (!parent.Whole() || parent.Stack.Has(g.CreatedBy.Function)) {
			return 0
		}
		parents[g.Parent] = true
	}
	return len(parents)
}

// streams reports whether a goroutine handles a stream, which may last for as long as both
// ends like.
func streams(s *goroutine.Stack) bool {
	return s.Has("google.golang.org/grpc.(*Server).processStreamingRPC")
}
