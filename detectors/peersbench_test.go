// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// BenchmarkPeers asks for the peers of one place in a process with thousands.
func BenchmarkPeers(b *testing.B) {
	for name, at := range map[string]detectortest.Place{"handlers": atServeEvents, "writers": atWritePump} {
		b.Run(name, func(b *testing.B) {
			p := detectortest.NewProcess(2)
			for i := range 2000 {
				p.Go(detectortest.At(goroutine.IOWait, fmt.Sprintf("main.f%d", i), "net/http.serverHandler.ServeHTTP", "net/http.(*conn).serve"), 5)
			}
			series := detectortest.Series(p, 52, 15*time.Second, func(int) {
				p.Go(at, 3)
				p.Go(atBackgroundRead, 1)
			})
			pass := detectors.NewPass(series)
			detectors.Peers(pass, at.Stack.ID, at.State, 1, time.Minute) // other detectors have filled the series
			for b.Loop() {
				detectors.Peers(pass, at.Stack.ID, at.State, 1, time.Minute)
			}
		})
	}
}
