// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"testing"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// BenchmarkHang judges a process in which goroutines stand at 2,000 places, in as
// many snapshots as a history keeps: at most of them they come once, at one in
// twenty again and again.
func BenchmarkHang(b *testing.B) {
	s := newService(4, 1)
	at := make([]detectortest.Place, 2000)
	for i := range at {
		at[i] = inHandler(goroutine.Select, fmt.Sprintf("main.stream%04d:7", i), fmt.Sprintf("main.route%02d:8", i%50))
		if i%2 == 0 {
			at[i] = detectortest.At(goroutine.ChanReceive, fmt.Sprintf("main.stream%04d:7", i), fmt.Sprintf("main.serve%02d:8", i%50), "runtime.goexit")
		}
	}
	series := detectortest.Series(s.Process, 36, interval, func(i int) {
		for k, a := range at {
			if k%36 == i || k%20 == 0 {
				s.Go(a, 2)
			}
		}
		serve(s, 20, atQuery)
	})
	hang := newHang()
	b.ReportAllocs()
	for b.Loop() {
		if err := hang.Run(detectors.NewPass(series)); err != nil {
			b.Fatal(err)
		}
	}
}
