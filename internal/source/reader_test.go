// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// newReader returns a reader for any input. The reader collects notes.
func newReader(notes *[]string) *Reader {
	return &Reader{
		HTTP: HTTP{Timeout: 10 * time.Second}, Max: unlimited, Samples: 1, Stdin: strings.NewReader(oneGoroutine),
		Note: func(s string) { *notes = append(*notes, s) },
	}
}

func TestSeriesOfFiles(t *testing.T) {
	dir := t.TempDir()
	late := file(t, dir, "late", oneGoroutine, taken.Add(time.Hour))
	early := file(t, dir, "early", oneGoroutine, taken)
	same := file(t, dir, "same", oneGoroutine, taken)
	hours := func(h ...float64) (times []time.Time) {
		for _, h := range h {
			times = append(times, taken.Add(time.Duration(h*float64(time.Hour))))
		}
		return times
	}
	for name, c := range map[string]struct {
		files   []string
		every   time.Duration
		ordered bool
		names   []string
		times   []time.Time
		note    string
	}{
		"one":                 {files: []string{late}, names: []string{late}, times: hours(1)},
		"by their times":      {files: []string{late, early}, names: []string{early, late}, times: hours(0, 1)},
		"by the arguments":    {files: []string{late, early}, ordered: true, names: []string{late, early}, times: []time.Time{taken.Add(time.Hour), taken.Add(time.Hour + time.Millisecond)}, note: early + ": has the same time"},
		"by --every":          {files: []string{late, early, same}, every: time.Hour, names: []string{late, early, same}, times: hours(1, 2, 3)},
		"of one time":         {files: []string{early, same}, names: []string{early, same}, times: []time.Time{taken, taken.Add(time.Millisecond)}, note: same + ": has the same time as the snapshot before, so rates mean nothing; give the time between them with --every"},
		"the same file twice": {files: []string{late, late}, every: time.Minute, names: []string{late, late}, times: []time.Time{taken.Add(time.Hour), taken.Add(time.Hour + time.Minute)}},
	} {
		t.Run(name, func(t *testing.T) {
			var notes []string
			r := newReader(&notes)
			r.Every, r.Ordered = c.every, c.ordered
			series, err := r.Read(t.Context(), c.files)
			require.NoError(t, err)
			require.NoError(t, series.Partial)
			assert.Equal(t, c.names, series.Names)
			for i, s := range series.Snapshots {
				assert.WithinDuration(t, c.times[i], s.Time, 0)
			}
			if c.note == "" {
				assert.Empty(t, notes)
			} else {
				require.Len(t, notes, 1)
				assert.Contains(t, notes[0], c.note)
			}
		})
	}
}

func TestReadErrors(t *testing.T) {
	dir := t.TempDir()
	good := file(t, dir, "good", oneGoroutine, taken)
	cut := file(t, dir, "cut", oneGoroutine+"\ngoroutine 9 [chan receive]:\nmain.serve(0xc0000", taken.Add(time.Second))
	words := file(t, dir, "words", "hello\n", taken)
	var notes []string
	for name, c := range map[string]struct {
		names []string
		want  string
	}{
		"no such file":     {[]string{good, filepath.Join(dir, "absent")}, filepath.Join(dir, "absent") + ": no such file or directory"},
		"a directory":      {[]string{dir}, dir + ": is a directory"},
		"unreadable":       {[]string{good, words}, words + ": no goroutine found"},
		"an empty stdin":   {[]string{"-"}, "-: it is empty"},
		"a bad address":    {[]string{"http://%zz"}, "http://%zz: not a URL"},
		"a missing --ca":   {[]string{"http://localhost:1"}, "--ca: open "},
		"without a scheme": {[]string{"127.0.0.1:1"}, "--ca: open "},
	} {
		r := newReader(&notes)
		r.Stdin = strings.NewReader("")
		r.HTTP.CA = filepath.Join(dir, "absent")
		series, err := r.Read(t.Context(), c.names)
		require.ErrorContains(t, err, c.want, name)
		assert.Nil(t, series, name)
	}

	series, err := newReader(&notes).Read(t.Context(), []string{good, cut})
	require.NoError(t, err)
	assert.Len(t, series.Snapshots, 2, "what could be read is there")
	assert.ErrorContains(t, series.Partial, cut+": ")
	assert.ErrorContains(t, series.Partial, "ends within a call")
}

func TestStandardInput(t *testing.T) {
	var notes []string
	series, err := newReader(&notes).Read(t.Context(), []string{"-"})
	require.NoError(t, err)
	assert.Equal(t, []string{"-"}, series.Names)
	assert.Equal(t, 1, series.Snapshots[0].Total)
	assert.WithinDuration(t, time.Now(), series.Snapshots[0].Time, time.Hour)
}

// TestProgress checks that the number of bytes increases and that the end is
// reported once.
func TestProgress(t *testing.T) {
	name := file(t, t.TempDir(), "dump", strings.Repeat(oneGoroutine+"\n", 2000), taken)
	var notes []string
	r := newReader(&notes)
	var told []int64
	ends := 0
	r.Progress = func(input string, n int64, done bool) {
		assert.Equal(t, name, input)
		assert.Zero(t, ends, "nothing comes after the end")
		told = append(told, n)
		if done {
			ends++
		}
	}
	_, err := r.Read(t.Context(), []string{name})
	require.NoError(t, err)
	assert.Equal(t, 1, ends)
	info, err := os.Stat(name)
	require.NoError(t, err)
	assert.Equal(t, info.Size(), told[len(told)-1])
	assert.IsNonDecreasing(t, told)
	assert.Greater(t, len(told), 3)
}

// serve returns the address of a server with the paths of net/http/pprof.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}

func TestSamples(t *testing.T) {
	requests := 0
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		requests++
		io.WriteString(w, strings.Repeat(oneGoroutine+"\n", requests))
	})
	var notes []string
	r := newReader(&notes)
	r.Endpoint, r.Samples, r.Every = Dump, 3, time.Millisecond
	var waits []string
	r.Progress = func(name string, n int64, done bool) {
		if n == 0 && !done {
			waits = append(waits, name)
		}
	}
	series, err := r.Read(t.Context(), []string{url})
	require.NoError(t, err)
	assert.Equal(t, 3, requests)
	assert.Equal(t, []string{url, url, url}, series.Names)
	for i, s := range series.Snapshots {
		assert.Equal(t, i+1, s.Total)
		if i > 0 {
			assert.True(t, s.Time.After(series.Snapshots[i-1].Time))
		}
	}
	assert.True(t, series.Same)
	assert.Contains(t, waits, url, "waits are reported too")
	assert.Empty(t, notes)
}

// TestSamplesUntilItFails checks that snapshots taken before an error are kept.
func TestSamplesUntilItFails(t *testing.T) {
	for name, c := range map[string]struct {
		second func(http.ResponseWriter, *http.Request, context.CancelFunc)
		want   string
	}{
		"refused": {func(w http.ResponseWriter, _ *http.Request, _ context.CancelFunc) {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
		}, "503 Service Unavailable (text/plain): shutting down"},
		"interrupted": {func(_ http.ResponseWriter, r *http.Request, cancel context.CancelFunc) {
			cancel()
			<-r.Context().Done()
		}, context.Canceled.Error()},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		requests := 0
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if requests++; requests == 2 {
				c.second(w, r, cancel)
				return
			}
			io.WriteString(w, oneGoroutine)
		})
		var notes []string
		r := newReader(&notes)
		r.Endpoint, r.Samples, r.Every = Dump, 5, time.Millisecond
		series, err := r.Read(ctx, []string{url})
		cancel()
		require.NoError(t, err, name)
		assert.Len(t, series.Snapshots, 1, name)
		assert.ErrorContains(t, series.Partial, c.want, name)
		assert.Equal(t, 2, requests, name)
	}
}

// TestInterruptedWait checks that a wait of one hour ends with the context.
func TestInterruptedWait(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, oneGoroutine) })
	var notes []string
	r := newReader(&notes)
	r.Endpoint, r.Samples, r.Every = Dump, 2, time.Hour
	r.Progress = func(_ string, n int64, done bool) {
		if n == 0 && !done {
			cancel()
		}
	}
	series, err := r.Read(ctx, []string{url})
	require.NoError(t, err)
	assert.Len(t, series.Snapshots, 1)
	assert.ErrorIs(t, series.Partial, context.Canceled)
}

var (
	place  = detectortest.At(goroutine.Select, "main.work:12", "main.run:3")
	place2 = detectortest.At(goroutine.Select, "main.other:12", "main.begin:3")
)

// process returns a simulated process with goroutines that were born one after
// another.
func process(at detectortest.Place, n int) *detectortest.Process {
	p := detectortest.NewProcess(1)
	for range n {
		p.Go(at, 1)
		p.Advance(time.Second)
	}
	return p
}

func snapshot(p *detectortest.Process) *goroutine.Snapshot {
	p.Advance(time.Minute)
	return p.Snapshot()
}

func TestContinues(t *testing.T) {
	p := process(place, 50)
	first, again := snapshot(p), snapshot(p)
	ids := p.Go(place2, 40)
	grown := snapshot(p)
	p.Exit(ids...)
	shrunk := snapshot(p)
	for name, c := range map[string]struct {
		before, after *goroutine.Snapshot
		want          bool
	}{
		"unchanged":                        {first, again, true},
		"grown":                            {first, grown, true},
		"shrunk":                           {grown, shrunk, true},
		"in the wrong order":               {grown, first, false},
		"fewer were ever born":             {first, snapshot(process(place, 10)), false},
		"other functions have those IDs":   {first, snapshot(process(place2, 60)), false},
		"more old ones than there were":    {first, snapshot(process(place, 2*slack)), true}, // the rest may have been born since
		"a process much like it, by count": {first, snapshot(process(place, 51)), true},      // nothing contradicts it
	} {
		assert.Equal(t, c.want, Continues(c.before, c.after), name)
	}
	assert.True(t, sameProcess([]*goroutine.Snapshot{first, again, grown}))
	assert.False(t, sameProcess([]*goroutine.Snapshot{first, grown, again}))
	assert.False(t, sameProcess([]*goroutine.Snapshot{first}), "there is nothing to compare")
	assert.False(t, sameProcess([]*goroutine.Snapshot{first, {Time: taken}}), "no IDs")
}

// TestMoreOldGoroutinesThanBefore checks that snapshots are of different
// processes if the later one has more old goroutines: no goroutine is born with
// an old ID.
func TestMoreOldGoroutinesThanBefore(t *testing.T) {
	s := func(births ...goroutine.Cohort) *goroutine.Snapshot {
		g := goroutine.Group{Stack: place.Stack, Births: births}
		for _, c := range births {
			g.Count += c.Count
		}
		return &goroutine.Snapshot{
			Total: g.Count, Groups: []goroutine.Group{g},
			Epochs: []goroutine.Epoch{{LastID: 10_000, End: taken}, {LastID: 20_000, End: taken.Add(time.Minute)}},
		}
	}
	before := s(goroutine.Cohort{Count: 10})
	before.Epochs = before.Epochs[:1]
	assert.True(t, Continues(before, s(goroutine.Cohort{Count: 10 + slack})))
	assert.False(t, Continues(before, s(goroutine.Cohort{Count: 11 + slack})))
	assert.True(t, Continues(before, s(goroutine.Cohort{Count: 10}, goroutine.Cohort{Epoch: 1, Count: 5000})), "born since")
	before.Missing = 5
	assert.True(t, Continues(before, s(goroutine.Cohort{Count: 15 + slack})), "those that were not described were there")
}

func TestPlain(t *testing.T) {
	_, err := os.Open("/does/not/exist")
	require.EqualError(t, plain(err), "/does/not/exist: no such file or directory")
	require.ErrorIs(t, plain(err), os.ErrNotExist)
	other := errors.New("other")
	assert.Same(t, other, plain(other))
}
