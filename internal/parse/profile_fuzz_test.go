// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// FuzzProfile uses each seed both compressed and uncompressed: the fuzzer finds
// little by changing compressed bytes.
func FuzzProfile(f *testing.F) {
	addFiles(f, "profile/go1.*/*.pb.gz")
	seeds := [][]byte{nil, []byte("<html>"), {0x1f, 0x8b}}
	for _, s := range everySnapshot(f) {
		var b bytes.Buffer
		require.NoError(f, WriteProfile(&b, s))
		z, err := gzip.NewReader(&b)
		require.NoError(f, err)
		raw, err := io.ReadAll(z)
		require.NoError(f, err)
		seeds = append(seeds, raw)
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		keys := []string{"k", "request"}
		s, err := Profile(data, profileTime, NewStacks(), Labels{Keys: keys})
		if s == nil {
			require.Error(t, err)
			return
		}
		total, states := 0, make(map[goroutine.State]bool)
		for _, g := range s.Groups {
			require.Positive(t, g.Count)
			total += g.Count
			states[g.State] = true
			require.LessOrEqual(t, len(g.Labels), len(keys))
			for _, l := range g.Labels {
				require.LessOrEqual(t, len(l.Value), MaxLabelBytes)
			}
		}
		require.Equal(t, total, s.Total)
		require.LessOrEqual(t, len(s.Groups), MaxGroups+len(states))
		requireBounded(t, s)
		requireRoundTrip(t, s, keys)
	})
}
