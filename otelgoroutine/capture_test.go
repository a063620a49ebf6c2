// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/trace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// contentOf reads a file through its door.
func contentOf(t *testing.T, f File) []byte {
	t.Helper()
	r, err := f.Open()
	require.NoError(t, err)
	data, err := io.ReadAll(r)
	require.NoError(t, err)
	_, err = r.Seek(0, io.SeekStart)
	require.NoError(t, err)
	require.NoError(t, r.Close())
	return data
}

// goroutinesIn counts the goroutines of a profile.
func goroutinesIn(t *testing.T, data []byte) (n int64) {
	t.Helper()
	p, err := profile.ParseData(data)
	require.NoError(t, err)
	for _, s := range p.Sample {
		n += s.Value[0]
	}
	return n
}

func kindsOf(files []File) (kinds []FileKind) {
	for _, f := range files {
		kinds = append(kinds, f.Kind)
	}
	return kinds
}

func TestACaptureIsFreshAndSaved(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := growing(func(d time.Duration) int { return 1 + int(d/time.Second) })
		c.dump, c.recording = []byte("goroutine 1 [running]:"), []byte("recorded")
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithProfileDir(dir, 2), WithFlightRecorder(new(trace.FlightRecorder)))
		require.NoError(t, err)
		time.Sleep(7 * time.Second)
		require.Equal(t, 1, m.Snapshot().Total)
		got, err := m.Capture(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 8, got.Snapshot.Total)
		assert.Empty(t, got.Skips)
		require.Equal(t, []FileKind{FileProfile, FileRecording, FileDump}, kindsOf(got.Files))
		for _, f := range got.Files {
			assert.Equal(t, CauseRequest, f.Cause)
			assert.Equal(t, filepath.Join(dir, f.Name), f.Path)
			assert.True(t, strings.HasPrefix(f.Name, "goroutines-20000101T000007.000Z-request."), f.Name)
		}
		assert.EqualValues(t, 8, goroutinesIn(t, contentOf(t, got.Files[0])))
		assert.Equal(t, "recorded", string(contentOf(t, got.Files[1])))
		assert.Equal(t, "goroutine 1 [running]:", string(contentOf(t, got.Files[2])))

		c.dump = nil
		for range 3 {
			time.Sleep(2 * time.Second)
			got, err = m.Capture(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, []FileKind{FileProfile, FileRecording}, kindsOf(got.Files))
		assert.Equal(t, []Skip{{goroutine.SourceText, "pause_budget"}}, got.Skips, "why there is no dump")
		assert.Len(t, namesIn(t, dir), 2+2+1, "two of each kind are kept")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A capture is not judged, but takes the place of a regular snapshot that is due soon.
func TestCapturesAndRegularSnapshotsShareTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		m, err := Start(provider(), withCapturer(c), WithDetectors())
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		got, err := m.Capture(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, 2, c.taken.Load())
		assert.Nil(t, got.Files, "there is no place for any")
		assert.Len(t, m.History(), 1)
		time.Sleep(6 * time.Second)
		assert.EqualValues(t, 2, c.taken.Load())
		assert.Len(t, m.History(), 2)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func TestCapturesAtOneTimeAreOne(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		gate, under := make(chan struct{}), atomic.Int32{}
		c := parked(3)
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			assert.EqualValues(t, 1, under.Add(1), "never two at a time")
			defer under.Add(-1)
			if n > 1 {
				<-gate
			}
			return take(n)
		}
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithProfileDir(dir, 9))
		require.NoError(t, err)
		synctest.Wait()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				got, err := m.Capture(t.Context())
				assert.NoError(t, err)
				assert.Len(t, got.Files, 1)
			})
			wg.Go(func() { assert.NoError(t, m.WriteProfile(io.Discard)) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = m.Capture(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded, "it waits no longer than its context")
		close(gate)
		wg.Wait()
		assert.EqualValues(t, 2, c.taken.Load())
		assert.Len(t, namesIn(t, dir), 1)

		for range 10 {
			_, err = m.Capture(t.Context())
			require.NoError(t, err)
			time.Sleep(leastGap / 5)
		}
		assert.LessOrEqual(t, c.taken.Load(), int32(2+2+1), "one in a second")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

func refusing(c *script, reason capture.Reason, why string) {
	c.take = func(int) (*goroutine.Snapshot, []capture.Skip) {
		return nil, []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: reason, Err: errors.New(why)}}}
	}
}

func TestACaptureWaitsForTheBudgetAndSaysWhyNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		take := c.take
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithInterval(MaxInterval))
		require.NoError(t, err)
		synctest.Wait()

		refusing(c, capture.ReasonLoad, "too many are runnable")
		began := time.Now()
		_, err = m.Capture(t.Context())
		assert.EqualError(t, err, `otelgoroutine: Capture: no snapshot can be taken now: source "trace": overload: too many are runnable`)
		assert.Zero(t, time.Since(began))

		time.Sleep(2 * leastGap)
		refusing(c, capture.ReasonBudget, "possible in 5s")
		ctx, cancel := context.WithTimeout(t.Context(), 3500*time.Millisecond)
		defer cancel()
		_, err = m.Capture(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "cpu_budget: possible in 5s")
		began = time.Now()
		_, err = m.Capture(t.Context())
		assert.ErrorContains(t, err, "no snapshot within 1m0s")
		assert.Equal(t, time.Minute, time.Since(began))

		time.Sleep(2 * leastGap)
		began = time.Now()
		refused := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if time.Since(began) < 5*time.Second {
				return refused(n)
			}
			return take(n)
		}
		_, err = m.Capture(t.Context())
		require.NoError(t, err)
		assert.Less(t, time.Since(began), 8*time.Second)
		require.NoError(t, m.Shutdown(t.Context()))
		_, err = m.Capture(t.Context())
		assert.EqualError(t, err, "otelgoroutine: Capture: the monitor was shut down")
	})
}

func TestAProfileIsWrittenFreshOrFromTheNewestSnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := growing(func(d time.Duration) int { return 1 + int(d/time.Second) })
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithInterval(time.Minute))
		require.NoError(t, err)
		write := func() (goroutines int64, at time.Time) {
			var b bytes.Buffer
			require.NoError(t, m.WriteProfile(&b))
			p, err := profile.ParseData(b.Bytes())
			require.NoError(t, err)
			return goroutinesIn(t, b.Bytes()), time.Unix(0, p.TimeNanos)
		}
		time.Sleep(50 * time.Second)
		n, _ := write()
		assert.EqualValues(t, 51, n)

		time.Sleep(7 * time.Second)
		refusing(c, capture.ReasonBudget, "too dear")
		n, at := write()
		assert.EqualValues(t, 1, n, "the newest regular one")
		assert.Equal(t, 57*time.Second, time.Since(at), "the profile says how old it is")
		assert.ErrorIs(t, m.WriteProfile(brokenWriter{}), errBroken)
		require.NoError(t, m.Shutdown(t.Context()))
		n, _ = write()
		assert.EqualValues(t, 1, n)
	})
}

var errBroken = errors.New("broken pipe")

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestACaptureThatPanicsReachesOnlyItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(1)
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithInterval(MaxInterval))
		require.NoError(t, err)
		synctest.Wait()
		c.take = func(int) (*goroutine.Snapshot, []capture.Skip) { panic("boom") }
		_, err = m.Capture(t.Context())
		assert.EqualError(t, err, "otelgoroutine: Capture: panic: boom")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// A monitor is shut down while captures wait for the runtime.
func TestShutdownEndsCaptures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := make(chan struct{})
		c := parked(1)
		take := c.take
		c.abort = sync.OnceFunc(func() { close(gate) })
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if n > 1 {
				<-gate
			}
			return take(n)
		}
		m, err := Start(provider(), withCapturer(c), WithDetectors())
		require.NoError(t, err)
		synctest.Wait()
		failed := make(chan error)
		go func() { _, err := m.Capture(context.Background()); failed <- err }()
		synctest.Wait()
		began := time.Now()
		require.NoError(t, m.Shutdown(t.Context()))
		assert.ErrorIs(t, <-failed, errStopped)
		assert.Zero(t, time.Since(began))
	})
}

func TestSignalsCapture(t *testing.T) {
	dir := t.TempDir()
	errs := handled(func() {
		synctest.Test(t, func(t *testing.T) {
			signals := make(chan os.Signal, 1)
			c := parked(3)
			m, err := Start(provider(), withCapturer(c), WithDetectors(), WithProfileDir(dir, 2), WithCaptureSignals(signals))
			require.NoError(t, err)
			for range 3 {
				signals <- syscall.SIGTERM
				time.Sleep(2 * time.Second)
			}
			assert.Len(t, namesIn(t, dir), 2)
			refusing(c, capture.ReasonLoad, "too many are runnable")
			signals <- syscall.SIGTERM
			synctest.Wait()
			require.NoError(t, m.Shutdown(t.Context()))
		})
		synctest.Test(t, func(t *testing.T) { // a closed channel sends no signals
			closed := make(chan os.Signal)
			close(closed)
			c := parked(1)
			m, err := Start(provider(), withCapturer(c), WithDetectors(), WithProfileDir(dir, 2), WithCaptureSignals(closed))
			require.NoError(t, err)
			time.Sleep(time.Second)
			assert.EqualValues(t, 1, c.taken.Load())
			require.NoError(t, m.Shutdown(t.Context()))
		})
	})
	require.Len(t, errs, 1)
	assert.ErrorContains(t, errs[0], "Capture: no snapshot can be taken now")
}

func TestPeriodicProfilesAreOnTimeAndKept(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		c.still.Store(&counts{3, 1}) // a quiet process
		var poor atomic.Bool
		take := c.take
		c.take = func(n int) (*goroutine.Snapshot, []capture.Skip) {
			if poor.Load() {
				return nil, []capture.Skip{{Source: goroutine.SourceTrace, Refusal: &capture.Refusal{Reason: capture.ReasonBudget, Err: errors.New("too dear")}}}
			}
			return take(n)
		}
		m, err := Start(provider(), withCapturer(c), WithDetectors(), WithProfileDir(dir, 1), WithPeriodicProfiles(time.Minute, 5))
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		assert.Empty(t, namesIn(t, dir))
		time.Sleep(time.Hour)
		names := namesIn(t, dir)
		require.Len(t, names, 5)
		for i, name := range names {
			at, err := time.Parse("goroutines-20060102T150405.000Z-periodic.pb.gz", name)
			require.NoError(t, err)
			assert.Equal(t, 56+i, int(at.Sub(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).Round(time.Minute)/time.Minute), name)
		}

		poor.Store(true)
		time.Sleep(10 * time.Minute)
		assert.Equal(t, names, namesIn(t, dir))
		poor.Store(false)
		time.Sleep(time.Minute)
		assert.LessOrEqual(t, len(slices.DeleteFunc(namesIn(t, dir), func(n string) bool { return slices.Contains(names, n) })), 2, "what was missed is not made up for")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// The clock may be set back and forward.
func TestAPeriodFollowsTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeriod(time.Minute, 15*time.Second)
		now := time.Now()
		assert.False(t, p.due(now))
		assert.True(t, p.due(now.Add(53*time.Second)), "a snapshot may be early")
		p.saved(now.Add(53 * time.Second))
		assert.False(t, p.due(now.Add(75*time.Second)))
		assert.True(t, p.due(now.Add(2*time.Minute)))
		assert.True(t, p.due(now.Add(-time.Hour)))
		p.saved(now.Add(-time.Hour))
		assert.False(t, p.due(now.Add(-time.Hour).Add(30*time.Second)))
		assert.True(t, p.due(now.Add(-time.Hour).Add(time.Minute)))
		p.saved(now.Add(time.Hour))
		assert.False(t, p.due(now.Add(time.Hour+30*time.Second)))
		assert.True(t, p.due(now.Add(time.Hour+time.Minute)))
		none := newPeriod(0, time.Second)
		assert.False(t, none.due(now.Add(time.Hour)))
	})
}

func TestOptionsThatSaveNowhereAreRefused(t *testing.T) {
	dir := WithProfileDir(t.TempDir(), 1)
	archive := WithArchive(func(context.Context, File) error { return nil })
	signals := WithCaptureSignals(make(chan os.Signal))
	for _, tt := range []struct {
		opts []Option
		says string
	}{
		{[]Option{WithPeriodicProfiles(time.Minute, 3)}, "WithPeriodicProfiles(1m0s, 3): there is no place for profiles; add WithProfileDir, WithArchive or WithProfileExporter"},
		{[]Option{signals}, "WithCaptureSignals: there is no place for files; add WithProfileDir or WithArchive"},
		{[]Option{WithCaptureSignals(nil), dir}, "WithCaptureSignals(nil): a channel is needed"},
		{[]Option{WithArchive(nil)}, "WithArchive(nil): a function is needed"},
		{[]Option{WithPeriodicProfiles(0, 3), dir}, "WithPeriodicProfiles(0s, 3): the time between profiles must be 1s to 168h0m0s"},
		{[]Option{WithPeriodicProfiles(200*time.Hour, 3), dir}, "must be 1s to 168h0m0s"},
		{[]Option{WithPeriodicProfiles(time.Minute, 0), dir}, "keep must be 1 to 10000"},
		{[]Option{WithPeriodicProfiles(time.Minute, MaxProfiles+1), dir}, "keep must be 1 to 10000"},
		{[]Option{WithPeriodicProfiles(10*time.Second, 3), dir}, "must be at least the interval of snapshots, 15s"},
	} {
		_, err := newConfig(tt.opts)
		assert.ErrorContains(t, err, tt.says)
	}
	for _, opts := range [][]Option{{dir, signals}, {signals, archive}, {WithPeriodicProfiles(time.Minute, 1), archive}, {archive}} {
		_, err := newConfig(opts)
		assert.NoError(t, err)
	}
}

func TestAMonitorThatWasNotMade(t *testing.T) {
	for _, m := range []*Monitor{nil, {}} {
		_, err := m.Capture(t.Context())
		assert.ErrorContains(t, err, "not made by Start")
		assert.ErrorContains(t, m.WriteProfile(io.Discard), "not made by Start")
		assert.Nil(t, m.History())
	}
	_, err := File{}.Open()
	assert.ErrorContains(t, err, "not made by a Monitor")
}
