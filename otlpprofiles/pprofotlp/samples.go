// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"github.com/google/pprof/profile"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	// maxFrames is how many locations of a stack are kept, from the leaf on.
	maxFrames = 1024
	// maxLabels is how many labels of a sample become attributes, the first by key.
	maxLabels = 16
)

// A sample is goroutines that have everything in common that is translated.
type sample struct {
	locations []*profile.Location
	labels    []goroutine.Label // sorted by key
	state     string            // as parse.StateLabel tells it; empty if it does not
	link      Link
	value     int64
}

// merge returns the samples of a profile, those of the most goroutines first. A sample
// without goroutines is left out, and so is one of less than none, which is not valid.
func merge(p *profile.Profile, value int, o *Options) []sample {
	var all []sample
	index := make(map[string]int, len(p.Sample))
	for _, s := range p.Sample {
		if s.Value[value] <= 0 {
			continue
		}
		one := read(s, o)
		one.value = s.Value[value]
		key := one.key()
		i, known := index[key]
		if !known {
			index[key] = len(all)
			all = append(all, one)
			continue
		}
		all[i].value = add(all[i].value, one.value)
	}
	slices.SortStableFunc(all, func(a, b sample) int { return cmp.Compare(b.value, a.value) })
	return all
}

// add adds numbers of goroutines, up to the largest number there is.
func add(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// cut returns the first samples, and how many goroutines the others have.
func cut(all []sample, keep int) (kept []sample, rest int64) {
	keep = min(keep, len(all))
	for i := range all[keep:] {
		rest = add(rest, all[keep+i].value)
	}
	return all[:keep], rest
}

// read returns a sample without its value.
func read(s *profile.Sample, o *Options) sample {
	one := sample{locations: s.Location[:min(len(s.Location), maxFrames)]}
	var labels []goroutine.Label
	for key, values := range s.Label {
		switch {
		case len(values) == 0:
		case key == parse.StateLabel:
			one.state = start(values[0])
		default:
			labels = append(labels, goroutine.Label{Key: key, Value: values[0]})
		}
	}
	t := engine.TraceOf(labels)
	one.link = LinkOf(t.TraceID, t.SpanID)
	if one.link == (Link{}) && len(o.Links) > 0 {
		one.link = o.Links[stackOf(s.Location)]
	}
	one.labels = o.choose(labels)
	return one
}

// choose returns the labels that become attributes.
func (o *Options) choose(labels []goroutine.Label) []goroutine.Label {
	if o.Labels == nil {
		return nil
	}
	labels = slices.DeleteFunc(labels, func(l goroutine.Label) bool { return !o.Labels(l.Key) })
	for i := range labels {
		labels[i] = goroutine.Label{Key: start(labels[i].Key), Value: start(labels[i].Value)}
	}
	slices.SortFunc(labels, func(a, b goroutine.Label) int {
		return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
	})
	labels = slices.CompactFunc(labels, func(a, b goroutine.Label) bool { return a.Key == b.Key }) // once they are cut
	return labels[:min(len(labels), maxLabels)]
}

// start returns the beginning of a label as valid UTF-8.
func start(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), parse.MaxLabelBytes)], "\uFFFD")
}

// LinkOf returns the span with these IDs, in hexadecimal digits, or the zero Link if one
// of them is not an ID.
func LinkOf(traceID, spanID string) (l Link) {
	trace, err := hex.DecodeString(traceID)
	if err != nil || len(trace) != len(l.TraceID) {
		return Link{}
	}
	span, err := hex.DecodeString(spanID)
	if err != nil || len(span) != len(l.SpanID) {
		return Link{}
	}
	return Link{[16]byte(trace), [8]byte(span)}
}

// stackOf returns the ID of the stack at these locations.
func stackOf(locations []*profile.Location) goroutine.StackID {
	var frames []goroutine.Frame
	for _, l := range locations {
		for _, line := range l.Line {
			if line.Function != nil {
				frames = append(frames, goroutine.Frame{Function: line.Function.Name})
			}
		}
	}
	return goroutine.NewStack(frames).ID
}

// key returns a key that samples share which are the same.
func (s *sample) key() string {
	b := make([]byte, 0, 8*len(s.locations)+64)
	for _, l := range s.locations {
		b = binary.AppendUvarint(b, l.ID)
	}
	b = append(b, 0) // no location has the ID 0
	b = append(append(b, s.link.TraceID[:]...), s.link.SpanID[:]...)
	b = appendString(b, s.state)
	for _, l := range s.labels {
		b = appendString(appendString(b, l.Key), l.Value)
	}
	return string(b)
}

// appendString appends a string so that no other strings give the same bytes.
func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
