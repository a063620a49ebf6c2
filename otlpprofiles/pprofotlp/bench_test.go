// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pprofotlp

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// service returns the profile of a service with so many different stacks of 20 frames,
// of which neighbours share most.
func service(b *testing.B, stacks int) []byte {
	s := &goroutine.Snapshot{}
	for i := range stacks {
		frames := make([]goroutine.Frame, 20)
		for j := range frames {
			frames[j] = goroutine.Frame{
				Function: fmt.Sprintf("example.com/shop/internal/package%d.(*Service).method%d", j, i/(j+1)),
				File:     fmt.Sprintf("/src/shop/internal/package%d/service.go", j), Line: 100 + i/(j+1)%50,
			}
		}
		s.Groups = append(s.Groups, goroutine.Group{Stack: goroutine.NewStack(frames), State: goroutine.Select, Count: 1 + i%100})
	}
	var out bytes.Buffer
	require.NoError(b, parse.WriteProfile(&out, s))
	return out.Bytes()
}

// BenchmarkMarshal also reports the size of the message, as it is and compressed, beside
// that of the profile, which is compressed.
func BenchmarkMarshal(b *testing.B) {
	for _, stacks := range []int{50, 1000, 10_000} {
		b.Run(fmt.Sprint(stacks, "-stacks"), func(b *testing.B) {
			original := service(b, stacks)
			var encoded []byte
			for b.Loop() {
				var err error
				encoded, err = Marshal(original, Options{})
				require.NoError(b, err)
			}
			var small bytes.Buffer
			z := gzip.NewWriter(&small)
			z.Write(encoded)
			z.Close()
			b.ReportMetric(float64(len(original)), "pprof-bytes")
			b.ReportMetric(float64(len(encoded)), "otlp-bytes")
			b.ReportMetric(float64(small.Len()), "gzip-bytes")
			b.ReportAllocs()
		})
	}
}
