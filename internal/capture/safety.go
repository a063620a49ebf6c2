// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime/debug"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/framepointer"
)

// safety knows what could end this process. A dangerous capture is refused before
// its cost is predicted.
type safety struct {
	verdict func() framepointer.Verdict // on traces; nil where none are taken
	decided bool                        // the verdict was asked for, and paid for
	parks   goroutine.Frame             // a function outside the standard library that parks goroutines itself
}

// trace refuses execution traces for as long as the process lives, if one could
// end it. What cannot be decided is unsafe.
func (s *safety) trace() *Refusal {
	if s.verdict == nil {
		return nil
	}
	if err := s.verdict().Err(); err != nil {
		return refuseForever(ReasonUnsafe, "%w", err)
	}
	return nil
}

// proof refuses a leak proof that could end the process, as far as base and
// earlier snapshots show the danger: the proof would take a goroutine for leaked
// that is woken after all.
func (s *safety) proof(base *goroutine.Snapshot) *Refusal {
	if path := parkingModule(); path != "" {
		return refuseForever(ReasonUnsafe, "module %s parks goroutines without telling the garbage collector what will wake them", path)
	}
	if s.watch(base); s.parks.Function != "" {
		return refuseForever(ReasonUnsafe, "%s parks goroutines itself", s.parks.Function)
	}
	return unseen(base)
}

// watch remembers a function that parks goroutines itself; the runtime does not
// know what can wake them. Every snapshot counts: a goroutine that is running in
// this one is parked in most others.
func (s *safety) watch(snapshot *goroutine.Snapshot) {
	for i := range snapshot.Groups {
		if f, found := foreignPark(snapshot.Groups[i].State, snapshot.Groups[i].Stack.Frames); found {
			s.parks = f
			return
		}
	}
}

// unseen refuses a proof if a goroutine may be parked in a way that the snapshot
// does not show.
func unseen(s *goroutine.Snapshot) *Refusal {
	if s.Missing > 0 || s.Source == goroutine.SourceText {
		return refuse(ReasonUnsafe, "the snapshot does not show how every goroutine is parked")
	}
	for i := range s.Groups {
		if unknownPark(&s.Groups[i]) {
			return refuse(ReasonUnsafe, "the stacks of %d parked goroutines are unknown", s.Groups[i].Count)
		}
	}
	return nil
}

// parkingModule returns the path of a module of this program that is known to park
// goroutines through a linknamed runtime.gopark.
func parkingModule() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range append(info.Deps, &info.Main) {
		if m.Replace != nil {
			m = m.Replace
		}
		if strings.Contains(m.Path, "gvisor") {
			return m.Path
		}
	}
	return ""
}

// unknownPark reports whether an unknown function may have parked the goroutines
// of a group.
func unknownPark(g *goroutine.Group) bool {
	return g.Stack.ID == goroutine.OtherStacks || len(g.Stack.Frames) == 0 && g.State == goroutine.Waiting
}

// foreignPark finds a frame from outside the standard library directly below the
// runtime's frames that park a goroutine. A trace omits gopark from the stack of a
// goroutine that parked while it was traced: then that frame is the leaf.
func foreignPark(state goroutine.State, frames []goroutine.Frame) (goroutine.Frame, bool) {
	for i, f := range frames {
		parks := i == 0 && state.Blocked()
		if i > 0 {
			above := frames[i-1].Function
			parks = above == "runtime.gopark" || above == "runtime.goparkunlock"
		}
		if parks && !f.Standard() {
			return f, true
		}
	}
	return goroutine.Frame{}, false
}
