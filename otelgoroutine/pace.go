// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

const (
	// hastened is how many snapshots are taken in an interval while something is
	// suspected. They are at least shortestGap apart on average, unless the interval is
	// shorter.
	hastened    = 3
	shortestGap = time.Second
	// suspense is how many snapshots in a row a suspicion may hasten: twelve intervals,
	// 3 min by default. Each snapshot without a suspicion gives one back, so that
	// suspicions that come and go take half as many snapshots again at most, and one
	// that stays for ever takes no more in the end.
	suspense = 36

	// restful is how many intervals may pass between two snapshots of a quiet process.
	// A fault that changes no count is then seen up to 48 s later by default. That
	// leaves 72 s of the two minutes within which a deadlock of two goroutines is told,
	// which takes 60 to 65 s from the first snapshot with it; four would not.
	restful = 3
	// quietFor is in how many snapshots in a row a quiet process has shown nothing new:
	// three minutes by default. What has just stopped is an outage or rest, and within
	// three minutes it is told which; until then it is seen at the interval. So are the
	// first snapshots of a process.
	quietFor = 12
	// quietRate is how many goroutines a quiet process creates at most, by the second:
	// those of its exporter and of the probes that ask whether it lives.
	quietRate = 1

	// longestBeat bounds how long the monitor sleeps at a time. A pause of the process
	// is noticed in as far as it goes beyond the beat that it falls into.
	// While nothing is new, it sleeps for an interval: a process at rest that wakes up
	// costs a fraction of a millisecond, whatever it does then.
	longestBeat = 5 * time.Second
	// punctual is how late a beat may be without a reason to be told.
	punctual = 100 * time.Millisecond
	// swing is by which share of a beat one may come early, at random: by up to 2.5 s
	// by default. A loop that runs each second, or each 5 or 15, would otherwise keep
	// step with the snapshots, and be caught at the same place in all of them or in
	// none. Beats do not drift, so that as many snapshots are taken as without.
	swing = 0.5
)

// A pace decides when the next snapshot is due: after an interval; after a third of
// it while a detector suspects something; and after up to three while nothing moves
// in the process.
//
// It counts in beats. A third of the interval is a whole number of them.
type pace struct {
	beat         time.Duration
	short, usual int // number of beats between snapshots

	last   *goroutine.Snapshot // the newest; nil when the last attempt failed
	hasty  bool                // something was suspected in it
	left   int                 // how many snapshots suspicions may still hasten
	calm   int                 // snapshots in a row in which there was nothing new
	counts counts              // after it
}

// counts is what the runtime tells of its goroutines without a snapshot.
type counts struct{ goroutines, created int64 }

func newPace(interval time.Duration) pace {
	parts := min(max(int(interval/shortestGap), 1), hastened)
	gap := interval / time.Duration(parts)
	beats := int((gap + longestBeat - 1) / longestBeat)
	return pace{beat: gap / time.Duration(beats), short: beats, usual: beats * parts, left: suspense}
}

// failed notes an attempt at a snapshot. Until it has succeeded, the next one is
// due after an interval.
func (p *pace) failed() { p.hasty, p.last = false, nil }

// saw notes a snapshot, what came of it and the counts after it.
func (p *pace) saw(s, before *goroutine.Snapshot, r engine.Result, now counts) {
	p.last, p.counts, p.hasty = s, now, r.Attention
	if !r.Attention {
		p.left = min(p.left+1, suspense)
	}
	p.calm++
	if r.Attention || len(r.Open) > 0 || before == nil || showsNew(s, before) {
		p.calm = 0
	}
}

// showsNew reports whether goroutines stand in s where none stood in the snapshot
// before.
func showsNew(s, before *goroutine.Snapshot) bool {
	if s.Total != before.Total {
		return true
	}
	were := make(map[goroutine.GroupKey]int)
	for i := range before.Groups {
		were[before.Groups[i].Key()] += before.Groups[i].Count
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		if were[g.Key()] -= g.Count; were[g.Key()] < 0 && g.State.Blocked() {
			return true
		}
	}
	return false
}

// due reports whether a snapshot is due so many beats after the last attempt. spare
// says whether the budget covers one beyond the regular ones, and quiet whether the
// process rests; they are asked only when it matters.
func (p *pace) due(beats int, spare, quiet func() bool) bool {
	switch {
	case beats >= restful*p.usual:
		return true
	case beats >= p.usual:
		return !quiet()
	case beats < p.short || !p.hasty || p.left == 0 || !spare():
		return false
	}
	p.left--
	return true
}

// stride is how many beats to wait for at a time.
func (p *pace) stride() int {
	if p.rests() {
		return p.usual
	}
	return 1
}

// rests reports whether the process is quiet, to judge by the last snapshots.
func (p *pace) rests() bool { return p.last != nil && p.calm >= quietFor }

// quiet reports whether nothing has happened in the process for a while, to judge by
// the last snapshots and by the counts now, so many beats after the last of them.
func (p *pace) quiet(beats int, now counts) bool {
	may := int64(quietRate * time.Duration(beats) * p.beat / time.Second)
	return p.rests() &&
		now.goroutines == p.counts.goroutines && now.created > 0 && now.created-p.counts.created <= may
}

// A metronome beats at distances that are equal on average, and tells by how much it
// was late, because the process was stopped, the machine slept or the host gave it no
// CPU. Each beat comes at a random moment of the last part of its time (swing).
type metronome struct {
	beat  time.Duration
	early func() float64 // how early a beat comes, of what is possible: 0 to 1
	timer *time.Timer
	next  time.Time // of the next beat, at the latest
	count int       // of the beats until now, those that nothing waited for included

	armed   time.Time     // when it began to wait
	ahead   int           // for the beat after so many
	planned time.Duration // for how long it is to wait
	late    time.Duration // since lateness was last asked
}

func newMetronome(beat time.Duration, early func() float64) *metronome {
	return &metronome{beat: beat, early: early, timer: time.NewTimer(beat), next: time.Now().Add(beat)}
}

// wait returns a channel on which the beat after so many comes. After it, heard must be
// called.
func (m *metronome) wait(beats int) <-chan time.Time {
	m.armed = time.Now()
	if missed := m.armed.Sub(m.next); missed >= 0 {
		m.pass(1 + int(missed/m.beat))
	}
	m.ahead = beats
	latest := m.next.Add(time.Duration(beats-1) * m.beat).Sub(m.armed)
	// What was done since the last beat may have taken most of the time until this one.
	m.planned = latest - time.Duration(m.early()*swing*float64(min(latest, m.beat)))
	m.timer.Reset(m.planned)
	return m.timer.C
}

// heard notes that the beat has come.
func (m *metronome) heard() {
	now := time.Now()
	m.late += lateness(now.Sub(m.armed), now.Round(0).Sub(m.armed.Round(0)), m.planned)
	m.pass(m.ahead)
}

func (m *metronome) pass(beats int) {
	m.count += beats
	m.next = m.next.Add(time.Duration(beats) * m.beat)
}

// lateness returns how much longer than planned a wait took, by the monotonic clock
// and by the clock on the wall. The first does not go on while a machine sleeps, and
// the second may be set back: the one that has moved further counts. If the clock on
// the wall was set forward, that is taken for a pause.
func lateness(took, onTheWall, planned time.Duration) time.Duration {
	if late := max(took, onTheWall) - planned; late > punctual {
		return late
	}
	return 0
}

// lateness returns by how much the beats were late since the last call.
func (m *metronome) lateness() time.Duration {
	late := m.late
	m.late = 0
	return late
}
