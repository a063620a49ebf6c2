// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime/trace"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// received is what an archive was handed.
type received struct {
	mu    sync.Mutex
	files []File
	on    func(context.Context, File) error // nil: nothing else happens
}

func (r *received) hand(ctx context.Context, f File) error {
	r.mu.Lock()
	r.files = append(r.files, f)
	r.mu.Unlock()
	if r.on != nil {
		return r.on(ctx, f)
	}
	return nil
}

func (r *received) all() []File {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]File(nil), r.files...)
}

// Everything that is saved reaches the archive, with and without a directory.
func TestTheArchiveGetsEveryFile(t *testing.T) {
	dir := t.TempDir()
	for name, options := range map[string][]Option{"in memory": nil, "on disk": {WithProfileDir(dir, 1)}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var archived received
				var logs memory
				c := parked(3)
				c.recording, c.dump = []byte("recorded"), []byte("dumped")
				m, err := Start(provider(), append(options, withCapturer(c), WithDetectors(always()), WithLoggerProvider(logsTo(&logs)),
					WithFlightRecorder(new(trace.FlightRecorder)), WithPeriodicProfiles(time.Minute, 1), WithArchive(archived.hand))...)
				require.NoError(t, err)
				time.Sleep(90 * time.Second)
				_, err = m.Capture(t.Context())
				require.NoError(t, err)
				time.Sleep(time.Minute)
				require.NoError(t, m.Shutdown(t.Context()))

				files := archived.all()
				type what struct {
					FileCause
					FileKind
				}
				var got []what
				for _, f := range files {
					got = append(got, what{f.Cause, f.Kind})
					assert.Equal(t, options != nil, f.Path != "")
					assert.NotEmpty(t, contentOf(t, f), "also of a file that is no longer on disk")
					assert.False(t, f.Time.IsZero())
				}
				assert.Equal(t, []what{
					{CauseFinding, FileProfile}, {CauseFinding, FileRecording}, {CausePeriod, FileProfile},
					{CauseRequest, FileProfile}, {CauseRequest, FileRecording}, {CauseRequest, FileDump}, {CausePeriod, FileProfile},
				}, got)
				assert.Equal(t, "always", files[0].Detector)
				assert.Equal(t, attribute(t, &logs, "goroutine.finding.id"), files[0].FindingID)
				assert.Contains(t, files[0].Name, "-always-"+files[0].FindingID+".pb.gz")
				place := files[0].Name
				if options != nil {
					place = files[0].Path
				}
				assert.Equal(t, place, attribute(t, &logs, "goroutine.profile.path"), "the event says which file it is")
				assert.Empty(t, files[2].Detector+files[2].FindingID)
			})
		})
	}
}

func TestAnArchiveThatFailsIsToldOnce(t *testing.T) {
	for says, fail := range map[string]func(context.Context, File) error{
		"no bucket":                 func(context.Context, File) error { return errors.New("no bucket") },
		"panic: boom":               func(context.Context, File) error { panic("boom") },
		"context deadline exceeded": func(ctx context.Context, _ File) error { <-ctx.Done(); return ctx.Err() },
	} {
		errs := handled(func() {
			synctest.Test(t, func(t *testing.T) {
				archived := received{on: fail}
				m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(), WithPeriodicProfiles(time.Minute, 1), WithArchive(archived.hand))
				require.NoError(t, err)
				time.Sleep(5*time.Minute + 40*time.Second)
				assert.Len(t, archived.all(), 5, "it is called again with the next")
				require.NoError(t, m.Shutdown(t.Context()))
			})
		})
		require.Len(t, errs, 1, says)
		assert.ErrorContains(t, errs[0], says)
	}
}

// A function that does not return holds up nothing but itself, and what waits for it is
// bounded.
func TestAnArchiveThatHangsHoldsUpNothing(t *testing.T) {
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			gate := make(chan struct{})
			archived := received{on: func(context.Context, File) error { <-gate; return nil }}
			c := parked(1)
			m, err := Start(provider(), withCapturer(c), WithDetectors(), WithPeriodicProfiles(time.Minute, 1), WithArchive(archived.hand))
			require.NoError(t, err)
			time.Sleep(time.Hour)
			assert.Greater(t, c.taken.Load(), int32(200))
			assert.Len(t, m.archive.queue, maxArchived)

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			err = m.Shutdown(ctx)
			assert.ErrorIs(t, err, context.DeadlineExceeded)
			assert.ErrorContains(t, err, "not all files were handed to the function of WithArchive")
			close(gate)
			assert.NoError(t, m.Shutdown(t.Context()))
			assert.Len(t, archived.all(), 1, "the rest is dropped")
			assert.Zero(t, m.archive.held.Load())
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "16 files wait already")
}

func TestShutdownHandsOverWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		archived := received{on: func(context.Context, File) error { time.Sleep(10 * time.Second); return nil }}
		c := parked(1)
		c.dump = []byte("dumped")
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithArchive(archived.hand))
		require.NoError(t, err)
		_, err = m.Capture(t.Context())
		require.NoError(t, err)
		began := time.Now()
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Len(t, archived.all(), 2)
		assert.Equal(t, 20*time.Second, time.Since(began))
	})
}

// Contents that are too large for memory are read from the disk or, without a
// directory, dropped.
func TestTheArchiveKeepsLittleInMemory(t *testing.T) {
	dir := t.TempDir()
	for name, options := range map[string][]Option{"in memory": nil, "on disk": {WithProfileDir(dir, 1)}} {
		t.Run(name, func(t *testing.T) {
			errs := handled(func() {
				synctest.Test(t, func(t *testing.T) {
					var archived received
					c := parked(1)
					c.dump = make([]byte, maxArchivedBytes+1)
					m, err := Start(provider(), append(options, withCapturer(c), WithDetectors(), WithArchive(archived.hand))...)
					require.NoError(t, err)
					_, err = m.Capture(t.Context())
					require.NoError(t, err)
					require.NoError(t, m.Shutdown(t.Context()))
					files := archived.all()
					if options == nil {
						assert.Equal(t, []FileKind{FileProfile}, kindsOf(files))
						return
					}
					require.Equal(t, []FileKind{FileProfile, FileDump}, kindsOf(files))
					assert.Nil(t, files[1].content)
					assert.Len(t, contentOf(t, files[1]), maxArchivedBytes+1)
					require.NoError(t, os.Remove(files[1].Path))
					_, err = files[1].Open()
					assert.ErrorIs(t, err, fs.ErrNotExist)
				})
			})
			if options == nil {
				require.Len(t, errs, 1)
				assert.ErrorContains(t, errs[0], "was dropped: with it, over 16 MiB would wait in memory")
			} else {
				assert.Empty(t, errs)
			}
		})
	}
}
