// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"crypto/rand"
)

// WithProfileExporter hands each goroutine profile to a function that exports it: the
// profile of each detection, those of [WithPeriodicProfiles], and those of
// [Monitor.Capture]. The profile gets an ID ([File.ProfileID]), and the event of the
// finding has it in goroutine.profile.id, so that the profile is found in the backend. The
// function is the method Export of an exporter of module otlpprofiles, which sends OTLP
// profiles, a signal that is alpha:
//
//	exporter, err := otlpprofiles.New(ctx)
//	…
//	monitor, err := otelgoroutine.Start(nil, otelgoroutine.WithProfileExporter(exporter.Export))
//
// It may be one of your own. It is called as the function of [WithArchive] is, on another
// goroutine: nothing waits for it, it has [ArchiveTimeout] for each profile, and while it
// runs, up to 16 more wait, with up to 16 MiB in memory. A profile that does not get there
// is counted in goroutine.profile.dropped, and the first one reported to the error handler
// of OpenTelemetry. [Monitor.Shutdown] waits for it.
//
// Nothing else is exported: no recording of [WithFlightRecorder] and no goroutine dump.
func WithProfileExporter(f func(ctx context.Context, profile File) error) Option {
	return optionFunc(func(c *config) {
		if f == nil {
			c.refuse("WithProfileExporter(nil): a function is needed; leave the option out if there is none")
		}
		c.exporter = f
	})
}

// addProfile queues a profile under a new ID. If there is no room, it has none.
func (a *archive) addProfile(f File) File {
	without := f
	rand.Read(f.ProfileID[:]) // never fails
	if !a.add(f) {
		return without
	}
	return f
}
