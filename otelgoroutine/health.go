// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

// A Health says whether the process does the work that it is there for, as far as its
// goroutines tell: see [Monitor.Health].
type Health struct {
	// OK is false while a finding of one of the detectors "hang", "deadlock" and
	// "stall" is open, of at least the confidence [detectors.Confirmed], and the
	// newest snapshot could judge it. Whatever cannot be judged is OK, and Blind says
	// so.
	OK bool

	// Reason says in one sentence what is wrong; empty while OK. It names a detector,
	// a function, a line of code, a number and a time, never a label's value or an
	// address in memory, and has at most 500 bytes.
	Reason string

	// Finding is the finding behind Reason: of several the one that has been open for
	// longest. It is nil while OK. It is shared and must not be modified.
	Finding *detectors.Finding

	// Since is when Finding was opened, [detectors.Finding.Opened], and Age for how long
	// it had been open at the time of the newest snapshot. They are zero while OK. A
	// finding is opened when it is first told, often with a lower confidence than now;
	// what it is about began earlier.
	Since time.Time
	Age   time.Duration

	// Blind says which of these detectors are not judging at the moment, and why, as
	// a clause without a full stop of at most 500 bytes; empty while all of them are.
	Blind string
}

// vital are the detectors that tell that work has stopped. What others find, such as a
// leak, does not keep a process from serving yet.
var vital = []string{"hang", "deadlock", "stall"}

const (
	maxHealthText = 500 // bytes
	maxFunction   = 200 // bytes of a function's name
)

// Health returns whether the process has stopped working, for a liveness probe or a
// supervisor. Package health serves it over HTTP, with a minimum age of the finding:
// to end a process at once is nearly always wrong.
//
// It is a few comparisons: it takes no snapshot, waits for nothing, and may be called
// as often as wanted. While it is called at least every ten minutes, the monitor goes
// on taking snapshots even if nothing else hears it, as with [Monitor.Findings], and
// unlike there takes fewer of them while the process is quiet.
//
// A monitor that cannot judge never calls a process unhealthy: before it has enough
// snapshots, when the newest is older than three intervals, after [Monitor.Shutdown],
// and when it is nil. Blind says so.
func (m *Monitor) Health() Health {
	if !m.made() {
		return Health{OK: true, Blind: "no monitor was started"}
	}
	m.probe()
	now := m.status()
	h := Health{OK: true, Blind: blind(now.Detectors)}
	if !sees(now.Detectors) {
		return h
	}
	f := gravest(m.findings())
	if f == nil {
		return h
	}
	h.OK, h.Finding, h.Since, h.Age = false, f, f.Opened, max(0, now.Time.Sub(f.Opened))
	h.Reason = bounded(reason(f, h.Age))
	return h
}

// probe notes that the health was asked for.
func (m *Monitor) probe() {
	now := time.Now()
	m.probed.Store(&now)
	m.rouse()
}

// lately reports whether a question was asked not long ago.
func lately(asked *atomic.Pointer[time.Time]) bool {
	at := asked.Load()
	return at != nil && time.Since(*at) < askedFor
}

// sees reports whether the newest snapshot is of now, to judge by the statuses of the
// detectors: all of them have the same reason when it is not.
func sees(all []detectors.Status) bool {
	return !slices.ContainsFunc(all, func(s detectors.Status) bool {
		return slices.Contains([]detectors.Reason{detectors.ReasonNoSnapshot, detectors.ReasonNoListener, detectors.ReasonStopped}, s.Reason)
	})
}

// blind says which of the vital detectors are not judging, and why.
func blind(all []detectors.Status) string {
	var whys, missing []string
	of := make(map[string][]string)
	for _, name := range vital {
		i := slices.IndexFunc(all, func(s detectors.Status) bool { return s.Detector == name })
		if i < 0 {
			missing = append(missing, name)
			continue
		}
		if s := all[i]; !s.Judging {
			why := whyBlind(s)
			if of[why] == nil {
				whys = append(whys, why)
			}
			of[why] = append(of[why], name)
		}
	}
	if len(missing) > 0 {
		of["not in use"] = missing
		whys = append(whys, "not in use")
	}
	for i, why := range whys {
		whys[i] = fmt.Sprintf("%s (%s)", strings.Join(of[why], ", "), why)
	}
	return bounded(strings.Join(whys, "; "))
}

// whyBlind says why a detector is not judging. The text of an error may hold anything.
func whyBlind(s detectors.Status) string {
	if s.Reason == detectors.ReasonError || s.Reason == detectors.ReasonOther || s.Detail == "" {
		return strings.ReplaceAll(string(s.Reason), "_", " ")
	}
	return s.Detail
}

// gravest returns the vital finding, of those that are judged now, that has been open
// for longest, or nil.
func gravest(open []detectors.Finding) (worst *detectors.Finding) {
	for i := range open {
		f := &open[i]
		if f.Confidence >= detectors.Confirmed && f.Unjudged == "" && slices.Contains(vital, f.Detector) &&
			(worst == nil || f.Opened.Before(worst.Opened)) {
			worst = f
		}
	}
	return worst
}

// reason says what is wrong. It is not the message of the finding: a probe's answer is
// read by more people than telemetry is.
func reason(f *detectors.Finding, open time.Duration) string {
	return fmt.Sprintf("%s (%s) at %s: %s %s, open for %s", f.Detector, f.Confidence, placeOf(f.Stack),
		words.Plural(f.Count, "goroutine"), words.Verb(f.Count, "stands", "stand"), words.Span(open))
}

// placeOf names the function of a stack that is not of the runtime, and its line.
func placeOf(s *goroutine.Stack) string {
	if s == nil {
		return "an unknown place"
	}
	u := s.User()
	name := u.Function
	switch {
	case name == "":
		return "an unknown place"
	case len(name) > maxFunction:
		name = "…" + strings.ToValidUTF8(name[len(name)-maxFunction:], "")
	}
	if u.File == "" {
		return name
	}
	return fmt.Sprintf("%s (%s:%d)", name, path.Base(u.File), u.Line)
}

// bounded bounds a text and keeps it to one line.
func bounded(text string) string {
	text = strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, text)
	if len(text) > maxHealthText {
		text = strings.ToValidUTF8(text[:maxHealthText-len("…")], "") + "…"
	}
	return text
}
