package goroutinetest

import (
	"bytes"
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"runtime/pprof"
	"slices"
	"strings"
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
	places := []place{{f.Stack, f.State, f.IDs}}
	for i := range f.Participants {
		p := &f.Participants[i]
		places = append(places, place{p.Stack, p.State, p.IDs})
	}
	return !slices.ContainsFunc(places, func(p place) bool {
		if p.stack == nil {
			return false
		}
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

// ofOthers reports whether all goroutines at the place of a finding are those of other
// watched tests.
func (o *owner) ofOthers(f *detectors.Finding) bool {
	s := profiled(0)
	if s == nil {
		return false
	}
	seen := false
	for i := range s.Groups {
		g := &s.Groups[i]
		if g.Stack.ID != f.Stack.ID {
			continue
		}
		if !o.isOther(g.Labels) {
			return false
		}
		seen = true
	}
	return seen
}

// isOther reports whether labels are those of another test, which is no subtest.
func (o *owner) isOther(labels []goroutine.Label) bool {
	i := slices.IndexFunc(labels, func(l goroutine.Label) bool { return l.Key == label })
	if i < 0 {
		return false
	}
	test := labels[i].Value
	return test != o.test && !strings.HasPrefix(test, o.test+"/")
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
