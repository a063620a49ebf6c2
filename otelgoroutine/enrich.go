package otelgoroutine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// textSpacing is the least time between two goroutine dumps. A dump stops the
// world; the budget bounds one stop, this bounds how many there are.
const textSpacing = time.Minute

// maxLocks is how many locks the evidence names.
const maxLocks = 3

// An enrichment is what a goroutine dump adds to a finding.
type enrichment struct {
	createdBy goroutine.Frame
	evidence  []string
}

// enrich adds to findings about locks what only a goroutine dump knows: the
// locks' addresses, since when the runtime has seen the wait, and who made the
// goroutines. One dump serves all findings of a look; what it told is kept for
// as long as the finding is there. Without a dump, for want of budget, findings
// stay as they are.
func (m *Monitor) enrich(ctx context.Context, s *goroutine.Snapshot, findings []detectors.Finding) {
	w := m.watch
	kept := make(map[detectors.Identity]enrichment)
	var news []*detectors.Finding
	for i := range findings {
		f := &findings[i]
		if !f.State.Lock() || f.Confidence < detectors.High {
			continue
		}
		if e, ok := w.enriched[f.Identity()]; ok {
			kept[f.Identity()] = e
		} else {
			news = append(news, f)
		}
	}
	if dump := m.dump(ctx, s.Time, len(news)); dump != nil {
		for _, f := range news {
			kept[f.Identity()] = enrichmentOf(dump, f)
		}
	}
	w.enriched = kept
	for i := range findings {
		kept[findings[i].Identity()].addTo(&findings[i])
	}
}

// dump takes a goroutine dump when there is something to learn from it and the
// last one was long enough ago.
func (m *Monitor) dump(ctx context.Context, now time.Time, news int) *goroutine.Snapshot {
	w := m.watch
	if news == 0 || !w.dumped.IsZero() && now.Sub(w.dumped) < textSpacing {
		return nil
	}
	dump, skip := w.capturer.Text()
	if skip != nil {
		m.skipped(ctx, *skip)
	}
	if dump != nil {
		w.dumped = now
		m.telemetry.Took(ctx, dump)
	}
	return dump
}

// enrichmentOf reads what a dump tells about the goroutines of a finding.
func enrichmentOf(dump *goroutine.Snapshot, f *detectors.Finding) enrichment {
	var e enrichment
	waiters := make(map[uint64]int)
	var longest time.Duration
	for i := range dump.Groups { // the largest first
		g := &dump.Groups[i]
		if g.Stack.ID != f.Stack.ID || g.State != f.State {
			continue
		}
		if g.Lock != 0 {
			waiters[g.Lock] += g.Count
		}
		longest = max(longest, g.Wait)
		if e.createdBy.Function == "" {
			e.createdBy = g.CreatedBy
		}
	}
	e.evidence = lockSentences(waiters)
	if longest > 0 {
		e.evidence = append(e.evidence, fmt.Sprintf("By the runtime's own clock, one has waited for %v.", longest))
	}
	return e
}

func lockSentences(waiters map[uint64]int) (sentences []string) {
	locks := make([]uint64, 0, len(waiters))
	for lock := range waiters {
		locks = append(locks, lock)
	}
	slices.SortFunc(locks, func(a, b uint64) int {
		return cmp.Or(cmp.Compare(waiters[b], waiters[a]), cmp.Compare(a, b))
	})
	for _, lock := range locks[:min(len(locks), maxLocks)] {
		sentences = append(sentences, fmt.Sprintf("The lock at 0x%x has %d waiting here.", lock, waiters[lock]))
	}
	return sentences
}

func (e enrichment) addTo(f *detectors.Finding) {
	if f.CreatedBy.Function == "" {
		f.CreatedBy = e.createdBy
	}
	room := max(0, detectors.MaxEvidence-len(f.Evidence))
	f.Evidence = append(slices.Clone(f.Evidence), e.evidence[:min(len(e.evidence), room)]...)
}
