// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package live

import (
	"sync"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

// Limits of a recorder, in snapshots unless stated otherwise.
const (
	historyLength = 720 // of the states: three hours at 15 s
	seriesLength  = 240 // of the counts of a group: one hour at 15 s
	maxSeries     = 300 // groups whose counts are kept
	topSeries     = 200 // the largest groups of a snapshot; their counts are kept from then on
	maxGroups     = 8192
	maxEvents     = 200
	maxFindings   = 100
	maxSkips      = 64 // pairs of source and reason
	maxStates     = 64 // states of a snapshot; the runtime has about forty

	// lingering is how many snapshots a group without goroutines is kept for.
	// Most such groups come back.
	lingering = 8
	// recentLength is how many snapshots the sums of births and exits cover.
	recentLength = 20
)

// Config is the part of the monitor's configuration that pages show.
type Config struct {
	Interval time.Duration // between snapshots
	CPU      float64       // budget, as a share of one core

	// Sight returns what the findings cover now. It is called whenever a page is
	// served, also for changes, and must not wait for anything. If it is nil, pages do
	// not say.
	Sight func() *report.Sight
}

// An Update is the result of one interval of the monitor.
type Update struct {
	Snapshot *goroutine.Snapshot // kept until the next one; nil if there is no new one
	Open     []report.Finding    // after the snapshot, the longest open first
	Events   []report.Event      // events caused by the snapshot
	Skips    []report.Skip       // snapshots that were not taken
}

// A Recorder stores past snapshots. Create one with [New].
type Recorder struct {
	config Config

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	stopped bool
	seq     uint64 // of the last change

	latest  *goroutine.Snapshot // nil before the first
	taken   uint64              // snapshots recorded
	newborn uint64              // highest goroutine ID in the last snapshot that had IDs

	groups map[goroutine.GroupKey]*group
	serial int // number of the newest group
	series int // number of groups with a series
	gone   departures

	points   *ring[point]
	open     int              // number of findings
	findings []report.Finding // the first of them, at most maxFindings
	judged   uint64           // seq of the last snapshot at which findings were open or stopped being open
	events   *ring[event]
	skips    map[report.Skip]int
}

// New returns an empty recorder.
func New(c Config) *Recorder {
	return &Recorder{
		config:  c,
		changed: make(chan struct{}),
		groups:  make(map[goroutine.GroupKey]*group),
		points:  newRing[point](historyLength),
		events:  newRing[event](maxEvents),
		skips:   make(map[report.Skip]int),
	}
}

// Record adds an update.
func (r *Recorder) Record(u Update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	for _, skip := range u.Skips {
		if _, known := r.skips[skip]; known || len(r.skips) < maxSkips {
			r.skips[skip]++
		}
	}
	if u.Snapshot != nil {
		r.snapshot(u.Snapshot)
		r.found(u.Open)
	}
	for _, e := range u.Events {
		e.Message, e.Time = sentence(e.Message), millis(e.Time)
		r.events.push(event{r.seq, e})
	}
	r.wake()
}

func (r *Recorder) snapshot(s *goroutine.Snapshot) {
	r.taken++
	r.count(s)
	states := report.States(s)
	r.points.push(point{r.seq, millis(s.Time), states[:min(len(states), maxStates)], s.Duration})
	r.latest = s
}

// found replaces the open findings.
func (r *Recorder) found(open []report.Finding) {
	if len(open)+r.open == 0 {
		return
	}
	r.open, r.judged = len(open), r.seq
	r.findings = make([]report.Finding, min(len(open), maxFindings))
	for i := range r.findings {
		r.findings[i] = scrubbed(open[i])
	}
}

// Close marks the end of the recording: no more snapshots will follow. The
// recorder can still be viewed. Close may be called more than once.
func (r *Recorder) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.stopped {
		r.stopped = true
		r.seq++
		r.wake()
	}
}

// wake ends every wait on Changed.
func (r *Recorder) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// Changed returns a channel that is closed at the first change after the change
// with number seq. If that has already happened, the channel is closed
// immediately.
func (r *Recorder) Changed(seq uint64) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seq > seq {
		now := make(chan struct{})
		close(now)
		return now
	}
	return r.changed
}

// A point is what is kept of one snapshot for the states over time.
type point struct {
	seq    uint64
	time   time.Time
	states []report.Share // largest first
	took   time.Duration
}

type event struct {
	seq uint64
	report.Event
}

// millis truncates a time to milliseconds, because times are sent often.
func millis(t time.Time) time.Time { return t.UTC().Truncate(time.Millisecond) }
