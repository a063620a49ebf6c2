// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Limits of [WithPeriodicProfiles].
const (
	MinProfilePeriod = time.Second
	MaxProfilePeriod = 7 * 24 * time.Hour
)

// WithPeriodicProfiles saves a pprof goroutine profile each time that every has passed,
// from [MinProfilePeriod] to [MaxProfilePeriod] and not less than the interval of
// snapshots, beside the profiles of detections, and keeps the newest keep of these, from
// 1 to [MaxProfiles]. It needs [WithProfileDir], for the directory, or [WithArchive] or
// [WithProfileExporter], where keep has no meaning.
//
// A profile is written from the first snapshot at or after its time, without another
// capture. It is late while no snapshot can be taken within the budget; those that are
// missed are not made up for.
func WithPeriodicProfiles(every time.Duration, keep int) Option {
	return optionFunc(func(c *config) {
		if every < MinProfilePeriod || every > MaxProfilePeriod {
			c.refuse("WithPeriodicProfiles(%v, %d): the time between profiles must be %v to %v", every, keep, MinProfilePeriod, MaxProfilePeriod)
		}
		if keep < 1 || keep > MaxProfiles {
			c.refuse("WithPeriodicProfiles(%v, %d): keep must be 1 to %d", every, keep, MaxProfiles)
		}
		c.period, c.periodKeep = every, keep
	})
}

// A period says when a profile is due. Of a zero period, none ever is.
type period struct {
	every time.Duration
	slack time.Duration // by which a snapshot may be early
	next  time.Time
}

func newPeriod(every, interval time.Duration) period {
	return period{every: every, slack: interval / 2, next: time.Now().Add(every)}
}

// due reports whether a profile of a snapshot at now is due.
func (p *period) due(now time.Time) bool {
	return p.every > 0 && (!now.Add(p.slack).Before(p.next) || p.next.Sub(now) > p.every) // the clock was set back
}

// saved notes that a profile was due, and when the next one is.
func (p *period) saved(now time.Time) {
	missed := max(now.Add(p.slack).Sub(p.next)/p.every, 0)
	p.next = p.next.Add((missed + 1) * p.every)
	if p.next.Sub(now) > p.every+p.slack {
		p.next = now.Add(p.every)
	}
}

// savePeriodically saves the profile of a snapshot if one is due.
func (o *observer) savePeriodically(s *goroutine.Snapshot) {
	if !o.period.due(s.Time) {
		return
	}
	o.period.saved(s.Time)
	o.client.work(func() { o.store.profile(CausePeriod, s) })
}
