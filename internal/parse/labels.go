package parse

import (
	"cmp"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// Labels says by which pprof labels goroutines are told apart. The zero value
// drops all.
type Labels struct {
	Keys []string // these
	All  bool     // or any
	Hide bool     // by the keys alone: every value is left empty
}

// maxLabels is how many labels of a goroutine are kept: the first by key.
const maxLabels = 16

// none reports whether no label is wanted.
func (l Labels) none() bool { return !l.All && len(l.Keys) == 0 }

// choose returns the wanted ones of a goroutine's labels, by key.
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
