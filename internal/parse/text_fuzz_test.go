// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// addFiles adds the files that match a pattern below testdata to the seeds.
func addFiles(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, name := range files {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(data)
	}
}

// requireBounded checks the bounds that hold for a snapshot of any input.
func requireBounded(t *testing.T, s *goroutine.Snapshot) {
	t.Helper()
	for i := range s.Groups {
		g := &s.Groups[i]
		require.LessOrEqual(t, len(g.Stack.Frames), maxFrames)
		for _, f := range append(g.Stack.Frames[:len(g.Stack.Frames):len(g.Stack.Frames)], g.CreatedBy) {
			require.LessOrEqual(t, max(len(f.Function), len(f.File)), 3*maxName) // an invalid byte becomes three
			require.GreaterOrEqual(t, f.Line, 0)
		}
		require.NotEmpty(t, g.State)
		require.LessOrEqual(t, len(g.State), maxState)
		require.GreaterOrEqual(t, g.Wait, time.Duration(0))
		for j := 1; j < len(g.IDs); j++ {
			require.Less(t, g.IDs[j-1], g.IDs[j])
		}
	}
}

// requireRoundTrip checks that a profile written from s gives the same counts.
func requireRoundTrip(t *testing.T, s *goroutine.Snapshot, labelKeys []string) {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, WriteProfile(&b, s))
	back, err := Profile(b.Bytes(), s.Time, NewStacks(), Labels{Keys: labelKeys})
	if s.Total > maxCount {
		return
	}
	require.NoError(t, err)
	require.Equal(t, s.Total, back.Total)
	require.Equal(t, s.States(), back.States())
}

func FuzzText(f *testing.F) {
	addFiles(f, "text/go1.*/*.txt")
	for _, seed := range []string{
		one,
		"goroutine 0 [idle]:\n\ngoroutine 1 gp=0x1 m=nil [select (no cases) (leaked) (scan), 99999999 minutes]:\n",
		"goroutine 1 [running] {\"a\\\"]\": \"},\", b: c}:\n\tgoroutine running on other thread; stack unavailable\ncreated by a.b\r\n\tc:1\r\n",
		"goroutine 1 [sync.Mutex.Lock]:\nsync.(*Mutex).lockSlow(0xa0a0a0a0a0a0a0a)\n\t/x:1\n[originating from goroutine 7]:\nmain.f(...)\n\t/y:2\n",
		"goroutine 1 [x\x00y]:\n\xff\xfe()\n\t\xff:0\ncreated by \ncreated by x\n\t:1\n\tz:2\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _ := Text(bytes.NewReader(data), textTime, NewStacks(), new(goroutine.Births))
		require.NotNil(t, s)
		requireSane(t, s)
		requireBounded(t, s)
		require.Equal(t, int64(len(data)), s.Bytes)
		requireRoundTrip(t, s, nil)

		slow, _ := Text(iotest.HalfReader(bytes.NewReader(data)), textTime, NewStacks(), new(goroutine.Births))
		require.Equal(t, s.States(), slow.States())
		require.Equal(t, s.Missing, slow.Missing)
	})
}
