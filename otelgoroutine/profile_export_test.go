// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"encoding/hex"
	"errors"
	"runtime/trace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
)

// counting returns a provider whose metrics can be read.
func counting() (*sdkmetric.MeterProvider, sdkmetric.Reader) {
	reader := sdkmetric.NewManualReader()
	return sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)), reader
}

// An event has the ID of the profile that the exporter was handed.
func TestTheExporterGetsProfilesAndEventsTheirIDs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exported received
		var logs memory
		c := parked(3)
		c.recording, c.dump = []byte("recorded"), []byte("dumped")
		mp, reader := counting()
		m, err := Start(mp, withCapturer(c), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)),
			WithFlightRecorder(new(trace.FlightRecorder)), WithPeriodicProfiles(time.Minute, 1), WithProfileExporter(exported.hand))
		require.NoError(t, err)
		time.Sleep(90 * time.Second)
		captured, err := m.Capture(t.Context())
		require.NoError(t, err)
		require.NoError(t, m.Shutdown(t.Context()))

		files := exported.all()
		require.Equal(t, []FileKind{FileProfile, FileProfile, FileProfile}, kindsOf(files), "no recording and no dump")
		ids := make(map[[16]byte]bool)
		for _, f := range files {
			assert.NotZero(t, f.ProfileID)
			assert.NotEmpty(t, contentOf(t, f))
			ids[f.ProfileID] = true
		}
		assert.Len(t, ids, 3, "every profile has an ID of its own")
		assert.Equal(t, []FileCause{CauseFinding, CausePeriod, CauseRequest}, []FileCause{files[0].Cause, files[1].Cause, files[2].Cause})
		require.Len(t, captured.Files, 1)
		assert.Equal(t, files[2].ProfileID, captured.Files[0].ProfileID)

		assert.Equal(t, hex.EncodeToString(files[0].ProfileID[:]), attribute(t, &logs, "goroutine.profile.id"))
		assert.Empty(t, attribute(t, &logs, "goroutine.profile.path"), "there is no file")
		assert.Empty(t, attribute(t, &logs, "goroutine.finding.recording.path"))
		require.Len(t, files[0].Findings, 1)
		assert.Equal(t, files[0].FindingID, files[0].Findings[0].ID)
		assert.Zero(t, sum(t, reader, "goroutine.profile.dropped"))
	})
}

// A directory and an archive get the same profile as the exporter, with its ID.
func TestAnExportedProfileIsSavedAndArchivedAsWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exported, archived received
		var logs memory
		m, err := Start(provider(), withCapturer(parked(3)), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)),
			WithProfileDir(t.TempDir(), 1), WithArchive(archived.hand), WithProfileExporter(exported.hand))
		require.NoError(t, err)
		time.Sleep(20 * time.Second)
		require.NoError(t, m.Shutdown(t.Context()))

		require.Len(t, exported.all(), 1)
		require.Len(t, archived.all(), 1)
		a, b := exported.all()[0], archived.all()[0]
		assert.Equal(t, a.ProfileID, b.ProfileID)
		assert.Equal(t, contentOf(t, a), contentOf(t, b))
		assert.Equal(t, a.Path, attribute(t, &logs, "goroutine.profile.path"))
		assert.Equal(t, hex.EncodeToString(a.ProfileID[:]), attribute(t, &logs, "goroutine.profile.id"))
	})
}

// An exporter that hangs holds up nothing, and what does not reach it is counted. An
// event does not name a profile that was dropped.
func TestProfilesThatAreDroppedAreCounted(t *testing.T) {
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			exported := received{on: func(context.Context, File) error { <-gate; return nil }}
			c := parked(1)
			mp, reader := counting()
			m, err := Start(mp, withCapturer(c), WithDetectors(), WithPeriodicProfiles(time.Minute, 1), WithProfileExporter(exported.hand))
			require.NoError(t, err)
			time.Sleep(30*time.Minute + 30*time.Second)
			assert.Len(t, m.exporter.queue, maxArchived)
			assert.EqualValues(t, 30-1-maxArchived, sum(t, reader, "goroutine.profile.dropped"))
			captured, err := m.Capture(t.Context())
			require.NoError(t, err)
			assert.Empty(t, captured.Files)

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			assert.ErrorContains(t, m.Shutdown(ctx), "not all files were handed to the function of WithProfileExporter")
			close(gate)
			assert.NoError(t, m.Shutdown(t.Context()))
			assert.EqualValues(t, 30-1+1, sum(t, reader, "goroutine.profile.dropped"), "with those that waited and that of the capture")
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "otelgoroutine: WithProfileExporter: ")
	assert.ErrorContains(t, errs[0], "16 files wait already")
}

func TestAnExporterThatFailsIsToldOnceAndCounted(t *testing.T) {
	for says, fail := range map[string]func(context.Context, File) error{
		"no route":    func(context.Context, File) error { return errors.New("no route") },
		"panic: boom": func(context.Context, File) error { panic("boom") },
	} {
		errs := handled(func() {
			synctest.Test(t, func(t *testing.T) {
				exported := received{on: fail}
				mp, reader := counting()
				m, err := Start(mp, withCapturer(parked(1)), WithDetectors(), WithPeriodicProfiles(time.Minute, 1), WithProfileExporter(exported.hand))
				require.NoError(t, err)
				time.Sleep(5*time.Minute + 40*time.Second)
				assert.Len(t, exported.all(), 5)
				require.NoError(t, m.Shutdown(t.Context()))
				assert.EqualValues(t, 5, sum(t, reader, "goroutine.profile.dropped"))
			})
		})
		require.Len(t, errs, 1, says)
		assert.ErrorContains(t, errs[0], says)
	}
}

// Without a directory and an archive, a capture has no use for a goroutine dump, which
// would stop the world.
func TestNoDumpIsTakenForAnExporterAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var exported received
		m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(), WithProfileExporter(exported.hand))
		require.NoError(t, err)
		captured, err := m.Capture(t.Context())
		require.NoError(t, err)
		assert.Len(t, captured.Files, 1)
		assert.Empty(t, captured.Skips, "it would have been refused")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// With PROFILE_DIR=none, periodic profiles still have the exporter.
func TestTheExporterIsAPlaceForPeriodicProfiles(t *testing.T) {
	export := WithProfileExporter(func(context.Context, File) error { return nil })
	c, err := newConfig([]Option{WithPeriodicProfiles(time.Minute, 1), export})
	require.NoError(t, err)
	require.NoError(t, setProfileDir(&c, "none"))
	assert.Equal(t, time.Minute, c.period)

	_, err = newConfig([]Option{WithProfileExporter(nil)})
	assert.ErrorContains(t, err, "WithProfileExporter(nil): a function is needed")
}
