// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime/trace"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	exptrace "golang.org/x/exp/trace"

	"github.com/otelgoroutine/go/detectors"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error { _, err := io.WriteString(w, s); return err }
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Files of another service, and those of an earlier run of this one, have names of
// the same form.
func TestOnlyFilesWrittenByThisProcessAreRemoved(t *testing.T) {
	dir := t.TempDir()
	finding := &detectors.Finding{Detector: "leak", ID: "0123456789abcdef"}
	at := time.Unix(1_700_000_000, 0)
	earlier := &files{what: "a profile", dir: dir, suffix: ".pb.gz", keep: 100}
	for i := range 5 {
		_, err := earlier.save(fileName(at.Add(time.Duration(i-5)*time.Hour), finding), text("earlier"))
		require.NoError(t, err)
	}
	before := namesIn(t, dir)
	profiles := &files{what: "a profile", dir: dir, suffix: ".pb.gz", keep: 3}
	recordings := &files{what: "a recording", dir: dir, suffix: ".trace", keep: 3}
	var want []string
	for i := range 10 {
		name := fileName(at.Add(time.Duration(i)*time.Second), finding)
		for _, f := range []*files{profiles, recordings} {
			path, err := f.save(name, text("x"))
			require.NoError(t, err)
			assert.FileExists(t, path)
			assert.True(t, filepath.IsAbs(path))
			if i >= 7 {
				want = append(want, filepath.Base(path))
			}
		}
		assert.LessOrEqual(t, len(profiles.written), 3)
	}
	assert.Equal(t, append(before, want...), namesIn(t, dir))
	assert.Contains(t, want, "goroutines-20231114T221329.000Z-leak-0123456789abcdef.pb.gz")
	assert.Contains(t, want, "goroutines-20231114T221329.000Z-leak-0123456789abcdef.trace")
}

func TestAFileThatCannotBeWrittenLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	gone := &files{what: "a profile", dir: filepath.Join(dir, "gone"), keep: 1}
	_, err := gone.save("name", text("x"))
	assert.ErrorContains(t, err, "saving a profile")
	f := &files{what: "a recording", dir: dir, keep: 1}
	_, err = f.save("name", func(io.Writer) error { return errors.New("disk full") })
	assert.ErrorContains(t, err, "saving a recording: disk full")
	assert.Empty(t, namesIn(t, dir))
	assert.Empty(t, f.written)
}

// A file that was removed by hand is no error, and one that cannot be removed is
// told and forgotten.
func TestFilesThatCannotBeRemoved(t *testing.T) {
	dir := t.TempDir()
	f := &files{what: "a profile", dir: dir, keep: 1}
	first, err := f.save("1", text("x"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(first))
	second, err := f.save("2", text("x"))
	require.NoError(t, err)

	require.NoError(t, os.Remove(second))
	require.NoError(t, os.MkdirAll(filepath.Join(second, "child"), 0o700))
	third, err := f.save("3", text("x"))
	assert.ErrorContains(t, err, "removing a profile that is no longer kept")
	assert.FileExists(t, third)
	assert.Equal(t, []string{third}, f.written)
}

func TestAProfileAndARecordingAreSavedWithTheEvent(t *testing.T) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{})
	require.NoError(t, recorder.Start())
	var recording bytes.Buffer
	_, err := recorder.WriteTo(&recording)
	recorder.Stop()
	require.NoError(t, err)
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		c := parked(5)
		c.recording = recording.Bytes()
		m, err := Start(provider(), withCapturer(c), WithDetectors(always()), WithFlightRecorder(recorder),
			WithLoggerProvider(logsTo(&logs)), WithProfileDir(dir, 2))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.NoError(t, m.Shutdown(t.Context()))

		data, err := os.ReadFile(attribute(t, &logs, "goroutine.profile.path"))
		require.NoError(t, err)
		prof, err := profile.ParseData(data)
		require.NoError(t, err)
		assert.EqualValues(t, 5, prof.Sample[0].Value[0])

		path := attribute(t, &logs, "goroutine.finding.recording.path")
		assert.Equal(t, ".trace", filepath.Ext(path))
		data, err = os.ReadFile(path)
		require.NoError(t, err)
		requireTrace(t, data)
	})
}

// requireTrace checks that other tools can read a recording.
func requireTrace(t *testing.T, data []byte) {
	t.Helper()
	r, err := exptrace.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	events := 0
	for ; err == nil; events++ {
		_, err = r.ReadEvent()
	}
	require.ErrorIs(t, err, io.EOF)
	require.Greater(t, events, 1)
}
