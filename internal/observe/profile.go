// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package observe

import (
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// Profile has f called with each snapshot in which faults were found, or found again, and
// with these, before their events are sent. f returns the ID of the profile that it makes
// of the snapshot, which the events then have, or zero. It is called by the goroutine that
// observes, which it holds up. Call Profile before the first snapshot.
func (t *Target) Profile(f func(*goroutine.Snapshot, []detectors.Finding) (id [16]byte)) {
	t.profile = f
}

// profiled returns the ID of the profile for events, or zero.
func (t *Target) profiled(s *goroutine.Snapshot, events []detectors.Event) (id [16]byte) {
	if s == nil || t.profile == nil {
		return id
	}
	var of []detectors.Finding
	for i := range events {
		if e := &events[i]; e.Kind == detectors.Detected || e.Kind == detectors.Repeated {
			of = append(of, e.Finding)
		}
	}
	if len(of) == 0 {
		return id
	}
	return t.profile(s, of)
}
