// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/sockets"
	"github.com/otelgoroutine/go/internal/telemetry"
)

const (
	// rotEvery is the minimum time between two complaints about exclusions that have
	// matched nothing, and maxRots is how many there are at most.
	rotEvery = 24 * time.Hour
	maxRots  = 10
	// maxRotten is how many exclusions such a complaint names.
	maxRotten = 10
)

// An observer holds what the monitor's goroutine works with. Only that goroutine
// uses it.
type observer struct {
	client    *client
	engine    *engine.Engine
	telemetry *telemetry.Telemetry
	inspector *inspector
	pace      pace
	early     func() float64 // of the metronome

	store  *store // nil: no files are saved
	period period // of profiles

	*complaints

	rotted     map[string]bool // exclusions that were reported as unused
	rots       int             // complaints about these
	complained time.Time       // when the last of these was made

	steps int           // snapshots judged
	skips []Skip        // since the last snapshot
	late  time.Duration // for how long the process could not run since the last snapshot
}

func newObserver(c config, t *telemetry.Telemetry, told *complaints, stop <-chan struct{}) *observer {
	o := &observer{client: newClient(c, stop), telemetry: t, complaints: told, pace: newPace(c.interval), early: c.early}
	o.inspector = &inspector{
		observer: o, window: windowSpan(c.interval),
		spacing: min(dumpSpacing*c.interval, maxDumpSpacing), patience: (windowPatience - 1) * c.interval,
		proofs: proofSpacing(c.interval), labels: excludedLabels(c.known),
	}
	o.engine = engine.New(engine.Config{
		Detectors: c.detectors,
		Known:     slices.Clone(c.known),
		Inspector: o.inspector,
		Sockets:   new(sockets.Reader).Read,
		Measure:   o.client.work,
		Timers:    capture.Timers,
		Interval:  c.interval,
		Labels:    o.labelsOf(c),
	})
	o.store, o.period = newStore(&c, told, func() { t.DroppedProfile(context.Background()) }), newPeriod(c.period, c.interval)
	return o
}

func (o *observer) take(ctx context.Context) *goroutine.Snapshot {
	s, skips := o.client.Take(o.late)
	o.skipped(ctx, skips...)
	if s != nil {
		o.late = 0
	}
	return s
}

// glimpse is take for a snapshot that is not judged: the next one that is tells of the
// pauses before it as well.
func (o *observer) glimpse(ctx context.Context) *goroutine.Snapshot {
	s, skips := o.client.Early(o.late)
	o.skipped(ctx, skips...)
	if s != nil {
		o.late = s.Late
	}
	return s
}

// spare reports whether the budget covers a snapshot beyond the regular ones.
func (o *observer) spare() bool { return o.client.Spare(o.inspector.window) }

// publish makes s what the metrics show. With labels, the counts come from a
// labelled snapshot, and only the ages from s.
func (o *observer) publish(ctx context.Context, s *goroutine.Snapshot) {
	counts, skip := o.client.Labelled()
	if skip != nil {
		o.skipped(ctx, *skip)
		return // the last labelled counts stay; unlabelled ones would double them
	}
	if counts == nil {
		counts = s
	}
	o.client.work(func() { o.telemetry.Publish(ctx, counts, s) })
}

// excludedLabels returns the keys of the labels that exclusions are about.
func excludedLabels(known []detectors.KnownStack) (keys []string) {
	for _, k := range known {
		if k.Label.Key != "" {
			keys = append(keys, k.Label.Key)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// rot reports exclusions that have matched nothing for a day, each once: those of a day
// in one complaint, so that a long list leaves room for complaints about other things.
func (o *observer) rot(unused []string) {
	if o.rots >= maxRots || o.rots > 0 && time.Since(o.complained) < rotEvery {
		return
	}
	fresh := slices.DeleteFunc(slices.Clone(unused), func(name string) bool { return o.rotted[name] })
	if len(fresh) == 0 {
		return
	}
	if o.rotted == nil {
		o.rotted = make(map[string]bool)
	}
	for _, name := range fresh {
		o.rotted[name] = true
	}
	o.rots, o.complained = o.rots+1, time.Now()
	o.complain(fmt.Sprintf("known stacks %d", o.rots), rotten(fresh))
}

// rotten says which exclusions have matched nothing.
func rotten(names []string) error {
	if len(names) == 1 {
		return fmt.Errorf("otelgoroutine: WithKnownStacks: %q has matched no goroutine in any snapshot for a day; remove it if it is out of date", names[0])
	}
	quoted := make([]string, 0, maxRotten)
	for _, name := range names[:min(len(names), maxRotten)] {
		quoted = append(quoted, strconv.Quote(name))
	}
	list := strings.Join(quoted, ", ")
	if more := len(names) - len(quoted); more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Errorf("otelgoroutine: WithKnownStacks: %d entries have matched no goroutine in any snapshot for a day: %s; remove those that are out of date", len(names), list)
}

// check reports errors of the detectors.
func (o *observer) check(s *goroutine.Snapshot, verdicts []engine.Verdict) {
	if verdicts != nil {
		o.steps++
	}
	for _, v := range verdicts {
		switch {
		case v.Err != nil:
			o.complain("detector "+v.Detector, fmt.Errorf("otelgoroutine: %w", v.Err))
		case !v.Ran && o.steps > 1: // the first snapshot never has IDs
			o.complain("no IDs", fmt.Errorf("otelgoroutine: snapshots from source %q have no goroutine IDs; detector %q and all others that need them pause", s.Source, v.Detector))
		}
	}
}

// send sends the events of a snapshot. What is saved is saved once for all of them.
func (m *Monitor) send(ctx context.Context, s *goroutine.Snapshot, all []dispatch) {
	o := m.observer
	var saved telemetry.Files
	for i, d := range all {
		if d.elsewhere() {
			o.telemetry.Count(ctx, d.Event)
			continue
		}
		if saved.None() && o.store != nil && opens(d.Kind) {
			saved = o.save(s, findingsOf(all[i:]))
		}
		o.emit(ctx, d, saved)
		m.hand(ctx, d, saved)
	}
}

// findingsOf returns the findings of the events that this monitor sends and that are
// about open faults.
func findingsOf(all []dispatch) (of []detectors.Finding) {
	for i := range all {
		if d := &all[i]; !d.elsewhere() && opens(d.Kind) {
			of = append(of, d.Finding)
		}
	}
	return of
}

// save saves the profile of a snapshot and the recording behind it, as far as they
// are wanted and available.
func (o *observer) save(s *goroutine.Snapshot, of []detectors.Finding) (saved telemetry.Files) {
	if file, ok := o.store.profile(CauseFinding, s, of...); ok {
		saved.Profile, saved.ProfileID = file.place(), file.ProfileID
	}
	if !o.store.keeps() {
		return saved
	}
	if recording := o.client.Recording(s); recording != nil {
		if file, ok := o.store.bytes(fileOf(FileRecording, CauseFinding, s.Time, of...), recording); ok {
			saved.Recording = file.place()
		}
	}
	return saved
}

// emit sends one event. A log processor that panics keeps no other from being
// sent.
func (o *observer) emit(ctx context.Context, d dispatch, saved telemetry.Files) {
	defer o.survive()
	if d.to.logs {
		o.telemetry.Emit(ctx, d.Event, saved)
	} else {
		o.telemetry.Count(ctx, d.Event)
	}
}

// opens reports whether an event is about an open fault.
func opens(k detectors.Kind) bool { return k == detectors.Detected || k == detectors.Repeated }

// skipped counts captures that did not happen, and reports those that failed.
func (o *observer) skipped(ctx context.Context, skips ...capture.Skip) {
	for _, s := range skips {
		o.telemetry.Skipped(ctx, s.Source, string(s.Reason))
		o.skips = append(o.skips, Skip{s.Source, string(s.Reason)})
		switch s.Reason {
		case capture.ReasonUnsafe:
			o.unsafe(s)
		case capture.ReasonHung, capture.ReasonStopped, capture.ReasonMemory, capture.ReasonError, capture.ReasonVersion, capture.ReasonSize, capture.ReasonBusy:
			o.complain(string(s.Source)+" "+string(s.Reason), fmt.Errorf("otelgoroutine: snapshot from source %q: %w", s.Source, s.Refusal))
		}
	}
}

// unsafe reports that an execution trace could end the process.
func (o *observer) unsafe(s capture.Skip) {
	switch s.Source {
	case goroutine.SourceTrace:
		o.complain("unsafe", fmt.Errorf("otelgoroutine: no traces are taken: %w; until then, goroutine dumps and profiles take their place", s.Err))
	case goroutine.SourceRecorder:
		o.complain("unsafe recorder", fmt.Errorf("otelgoroutine: the flight recorder of WithFlightRecorder is running: %w", s.Err))
	}
}
