// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
)

// A Status says what a monitor can see now. That there are no findings means
// something only for the detectors that are judging.
type Status struct {
	Time   time.Time        // of the newest snapshot; zero before the first
	Source goroutine.Source // of the newest snapshot

	// Age is how old the newest snapshot is now; before the first, the time since
	// [Start].
	Age time.Duration

	// Detectors has one entry for each detector of the monitor, in their order.
	// No detector is judging when the newest snapshot is older than three
	// intervals, unless nothing has happened in the process since.
	Detectors []detectors.Status

	// Skips are the captures that did not happen since the snapshot before, or,
	// if the last one that was due could not be taken, instead of it.
	Skips []Skip
}

// Judging returns the number of detectors that are judging.
func (s Status) Judging() (n int) {
	for _, d := range s.Detectors {
		if d.Judging {
			n++
		}
	}
	return n
}

// String returns s in sentences for people: how many detectors are judging,
// which are not and why, and the age of the newest snapshot.
func (s Status) String() string { return report.SightOf(s.internal()).Line() }

func (s Status) internal() sight.Status {
	return sight.Status{Time: s.Time, Source: s.Source, Age: s.Age, Detectors: s.Detectors, Skips: sightSkips(s.Skips)}
}

// Status returns which detectors are judging now, which are not and why, and how
// old the newest snapshot is. It takes no snapshot and waits for nothing: of
// a monitor that hangs, the age grows from call to call. A monitor that captures
// nothing because nothing hears it resumes when it is asked. The result may be
// modified. The status of a nil or zero Monitor is the zero Status. After
// [Monitor.Shutdown] no detector is judging.
func (m *Monitor) Status() Status {
	if !m.made() {
		return Status{}
	}
	m.ask()
	return m.status()
}

func (m *Monitor) status() Status {
	now := m.sight.Status(time.Now())
	select {
	case <-m.stop:
		now = now.Stopped()
	default:
	}
	s := Status{Time: now.Time, Source: now.Source, Age: now.Age, Detectors: now.Detectors}
	for _, k := range now.Skips {
		s.Skips = append(s.Skips, Skip(k))
	}
	return s
}

// saw records what the detectors could judge in a snapshot, and the captures
// that did not happen since the one before.
func (m *Monitor) saw(s *goroutine.Snapshot, statuses []detectors.Status, skips []Skip) {
	m.sight.Saw(s, statuses, sightSkips(skips), time.Now())
	m.tellDetectors()
}

// skipped records an interval without a snapshot, and why there was none.
func (m *Monitor) skipped(skips []Skip) {
	m.sight.Skipped(sightSkips(skips))
	m.tellDetectors() // series that have left their state fade out
}

// pause records that nothing is captured, until the next snapshot is: no
// detector is judging, for this reason.
func (m *Monitor) pause(r detectors.Reason, detail string) {
	m.sight.Pause(r, detail, time.Now())
	m.tellDetectors()
}

// tellDetectors sets what the metrics show. Whether the newest snapshot is too
// old is decided at each collection, so that a monitor that hangs shows it.
func (m *Monitor) tellDetectors() {
	m.telemetry.SetDetectors(m.sight.Current(), time.Now())
}

func sightSkips(skips []Skip) []sight.Skip {
	all := make([]sight.Skip, len(skips))
	for i, k := range skips {
		all[i] = sight.Skip(k)
	}
	return all
}
