// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// Labels selects which pprof labels of goroutines are kept. The zero value selects
// none.
type Labels struct {
	Keys []string // keep these labels
	All  bool     // keep all labels
	Hide bool     // keep only the keys: every value is left empty

	// At limits them to goroutines at the stacks for which it returns true, and to
	// MaxLabelSets different sets of labels at each. It is nil if there is no limit.
	At func(goroutine.StackID) bool
}

// MaxLabelSets is how many different sets of labels are kept at a stack while
// [Labels.At] is set: so many goroutines with a label of their own, such as a trace,
// leave room for the other stacks.
const MaxLabelSets = 256

// maxLabels is how many labels of a goroutine are kept: the first ones by key.
const maxLabels = 16

// none reports whether no label is selected.
func (l Labels) none() bool { return !l.All && len(l.Keys) == 0 }

// shownIn reports whether labels distinguish the groups.
func (l Labels) shownIn(groups []goroutine.Group) bool {
	return len(l.Keys) > 0 || slices.ContainsFunc(groups, func(g goroutine.Group) bool { return len(g.Labels) > 0 })
}

// choose returns the selected labels of a goroutine, sorted by key.
func (l Labels) choose(labels []goroutine.Label) []goroutine.Label {
	var chosen []goroutine.Label
	for _, label := range labels {
		if label.Key == StateLabel || !l.All && !slices.Contains(l.Keys, label.Key) {
			continue
		}
		label.Key = boundLabel(label.Key)
		if l.Hide {
			label.Value = ""
		} else {
			label.Value = boundLabel(label.Value)
		}
		chosen = append(chosen, label)
	}
	slices.SortStableFunc(chosen, func(a, b goroutine.Label) int { return cmp.Compare(a.Key, b.Key) })
	return chosen[:min(len(chosen), maxLabels)]
}

// WithoutLabels returns a goroutine dump without the labels in its headers, whose values
// may be personal data. It overwrites the dump.
func WithoutLabels(dump []byte) []byte {
	kept := dump[:0]
	for len(dump) > 0 {
		end := bytes.IndexByte(dump, '\n') + 1
		if end == 0 {
			end = len(dump)
		}
		line := dump[:end]
		dump = dump[end:]
		if bytes.HasPrefix(line, headerStart) {
			line = headerWithoutLabels(line)
		}
		kept = append(kept, line...)
	}
	return kept
}

// headerWithoutLabels overwrites a header. If the braces do not match, it ends where
// they begin.
func headerWithoutLabels(line []byte) []byte {
	begin := bytes.IndexByte(line, '{')
	if begin < 0 {
		return line
	}
	size := skipTo(line[begin:], ",]:\n")
	start := len(bytes.TrimSuffix(line[:begin], []byte(" labels:")))
	if size < 0 {
		return append(line[:start], '\n')
	}
	return append(line[:start], line[begin+size:]...)
}
