package parse

import (
	"cmp"
	"slices"

	"github.com/otelgoroutine/go/goroutine"
)

// Labels selects the pprof labels that are kept of goroutines. The zero value
// selects none.
type Labels struct {
	Keys []string // these
	All  bool     // all of them
	Hide bool     // keys only: every value is left empty
}

// maxLabels is how many labels of a goroutine are kept, the first by key.
const maxLabels = 16

// none reports whether no label is selected.
func (l Labels) none() bool { return !l.All && len(l.Keys) == 0 }

// shownIn reports whether labels tell groups apart.
func (l Labels) shownIn(groups []goroutine.Group) bool {
	return len(l.Keys) > 0 || slices.ContainsFunc(groups, func(g goroutine.Group) bool { return len(g.Labels) > 0 })
}

// choose returns the labels of a goroutine that are selected, by key.
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
