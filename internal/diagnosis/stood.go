// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// An Earlier is a dump of the same process that was taken before.
type Earlier struct {
	*parse.Details
	Ago time.Duration // how long before
}

// stand takes the time since an earlier dump as the wait of goroutines that stand at the
// same place in both, unless a goroutine of the earlier dump has left that place. The
// runtime measures a wait only from the first garbage collection after a goroutine has
// blocked.
func (d *dump) stand(earlier *Earlier) {
	if earlier == nil || earlier.Details == nil || earlier.Ago <= 0 || !ofProcess(&d.Details) || !ofProcess(earlier.Details) {
		return
	}
	now := make(map[uint64]int, len(d.Goroutines)) // index by ID
	for i := range d.Goroutines {
		now[d.Goroutines[i].ID] = i
	}
	left := make(map[goroutine.GroupKey]bool)
	for i := range earlier.Goroutines {
		g := &earlier.Goroutines[i]
		if at, ok := now[g.ID]; !ok || keyOf(&d.Goroutines[at]) != keyOf(g) {
			left[keyOf(g)] = true
		}
	}
	d.Goroutines = slices.Clone(d.Goroutines)
	for i := range earlier.Goroutines {
		before := &earlier.Goroutines[i]
		key := keyOf(before)
		if left[key] || !judged(before.State) && !before.State.Lock() {
			continue
		}
		if g := &d.Goroutines[now[before.ID]]; g.Wait < earlier.Ago {
			g.Wait = earlier.Ago
			d.stood[key] = earlier.Ago
		}
	}
	d.standWaits()
}

// ofProcess reports whether details are of all goroutines of a process, each with an ID:
// not of a race report, nor of a dump in which several have one header.
func ofProcess(details *parse.Details) bool {
	return details.Crash.Kind != parse.CrashRace && !slices.ContainsFunc(details.Goroutines, func(g parse.Detail) bool { return g.ID == 0 })
}

// standWaits brings the list of waits in line with those of the goroutines.
func (d *dump) standWaits() {
	if len(d.stood) == 0 {
		return
	}
	waits := make([]parse.Wait, 0, len(d.Waits))
	listed := make(map[uint64]bool)
	for i := range d.Goroutines {
		if g := &d.Goroutines[i]; d.stood[keyOf(g)] > 0 && g.Wait > 0 {
			listed[g.ID] = true
			waits = append(waits, parse.Wait{ID: g.ID, Count: 1, For: g.Wait, Group: keyOf(g)})
		}
	}
	for _, w := range d.Waits {
		if !listed[w.ID] {
			waits = append(waits, w)
		}
	}
	d.Waits = waits
}

func keyOf(g *parse.Detail) goroutine.GroupKey {
	return goroutine.GroupKey{Stack: g.Stack.ID, Line: g.Stack.User().Line, State: g.State}
}
