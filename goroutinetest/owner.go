// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// label is the key of the pprof label that has the name of the test.
const label = "goroutinetest.test"

// maxName is how much of the name of a test is its mark, in bytes. Longer values of
// labels are cut when they are read.
const maxName = parse.MaxLabelBytes - 17

// markOf returns the value of the label for a test. Those of two tests differ.
func markOf(test string) string {
	if len(test) <= maxName {
		return test
	}
	h := fnv.New64a()
	_, _ = io.WriteString(h, test)
	return strings.ToValidUTF8(test[:maxName], "") + fmt.Sprintf("#%016x", h.Sum64())
}

// An owner knows which goroutines are those of a test.
type owner struct {
	test   string                          // the value of the label
	before map[goroutine.GroupKey][]uint64 // IDs by place, when the test began
}

// newOwner marks the calling goroutine, and all that it starts, as those of a test, and
// notes which goroutines are there.
func newOwner(test string) owner {
	o := owner{test: markOf(test), before: make(map[goroutine.GroupKey][]uint64)}
	if s := profiled(2); s != nil {
		for i := range s.Groups {
			g := &s.Groups[i]
			o.before[g.Key()] = append(o.before[g.Key()], g.IDs...)
		}
	}
	pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(label, o.test)))
	return o
}

// leave removes the mark of the calling goroutine.
func (o *owner) leave() { pprof.SetGoroutineLabels(context.Background()) }

// owns reports whether a finding may be about goroutines of the test. In doubt it is.
func (o *owner) owns(f *detectors.Finding) bool {
	return !o.wasThere(f) && !o.ofOthers(f)
}

// wasThere reports whether all goroutines that a finding lists stood where they stand
// when the test began.
func (o *owner) wasThere(f *detectors.Finding) bool {
	if len(f.IDs) == 0 {
		return false
	}
	return !slices.ContainsFunc(placesOf(f), func(p place) bool {
		g := goroutine.Group{Stack: p.stack, State: p.state}
		there := o.before[g.Key()]
		return slices.ContainsFunc(p.ids, func(id uint64) bool { return !slices.Contains(there, id) })
	})
}

// A place is where some goroutines of a finding are.
type place struct {
	stack *goroutine.Stack
	state goroutine.State
	ids   []uint64
}

func placesOf(f *detectors.Finding) []place {
	places := []place{{f.Stack, f.State, f.IDs}}
	for i := range f.Participants {
		if p := &f.Participants[i]; p.Stack != nil {
			places = append(places, place{p.Stack, p.State, p.IDs})
		}
	}
	return places
}

// ofOthers reports whether all goroutines at the places of a finding are those of other
// watched tests.
func (o *owner) ofOthers(f *detectors.Finding) bool {
	marks := markedAt(placesOf(f))
	return len(marks) > 0 && !slices.ContainsFunc(marks, func(mark string) bool { return !o.isOther(mark) })
}

// isOther reports whether a mark is that of another test, which is no subtest.
func (o *owner) isOther(mark string) bool {
	return mark != "" && mark != o.test && !strings.HasPrefix(mark, o.test+"/")
}

// A sighting is which marks the goroutines at a stack had.
type sighting struct {
	marks []string // each once; empty for goroutines without a mark
	at    time.Time
}

const (
	// maxSightings is how many stacks are remembered.
	maxSightings = 1000
	// fresh is for how long they are: a fault that one test sees, and ends, may be seen
	// by the others a moment later.
	fresh = time.Minute
)

// sightings are those of all watchers of the process, by stack.
var sightings struct {
	sync.Mutex
	byStack map[goroutine.StackID]sighting
}

// markedAt returns the marks of the goroutines at places now, or, if they have left,
// those that they had when another watcher saw them.
func markedAt(places []place) (marks []string) {
	now := time.Now()
	all := marksByStack(profiled(0))
	sightings.Lock()
	defer sightings.Unlock()
	maps.DeleteFunc(sightings.byStack, func(_ goroutine.StackID, s sighting) bool { return now.Sub(s.at) > fresh })
	for _, p := range places {
		id := p.stack.ID
		if len(all[id]) == 0 {
			marks = append(marks, sightings.byStack[id].marks...)
			continue
		}
		marks = append(marks, all[id]...)
		if sightings.byStack == nil {
			sightings.byStack = make(map[goroutine.StackID]sighting)
		}
		if len(sightings.byStack) < maxSightings {
			sightings.byStack[id] = sighting{all[id], now}
		}
	}
	return marks
}

// marksByStack returns the marks of the goroutines of a labelled snapshot, which may be
// nil.
func marksByStack(s *goroutine.Snapshot) map[goroutine.StackID][]string {
	if s == nil {
		return nil
	}
	all := make(map[goroutine.StackID][]string)
	for i := range s.Groups {
		g := &s.Groups[i]
		mark := ""
		if len(g.Labels) > 0 { // only those with our key were read
			mark = g.Labels[0].Value
		}
		if id := g.Stack.ID; !slices.Contains(all[id], mark) {
			all[id] = append(all[id], mark)
		}
	}
	return all
}

// profiled returns a goroutine profile: with labels for debug 0, a dump with IDs for
// debug 2. It is nil when it cannot be read.
func profiled(debug int) *goroutine.Snapshot {
	var b bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&b, debug); err != nil {
		return nil
	}
	var s *goroutine.Snapshot
	if debug == 2 {
		s, _ = parse.Text(&b, time.Now(), parse.NewStacks(), nil)
	} else {
		s, _ = parse.Profile(b.Bytes(), time.Now(), parse.NewStacks(), parse.Labels{Keys: []string{label}})
	}
	return s
}
