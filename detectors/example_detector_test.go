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

// newSleepers returns a detector of one's own: so many goroutines that sleep at
// one place.
func newSleepers(least int) *detectors.Detector {
	return &detectors.Detector{
		Name: "sleepers",
		Doc:  "Many goroutines sleep at one place, where a ticker would do.",
		Run: func(p *detectors.Pass) error {
			for i := range p.Snapshot.Groups {
				g := &p.Snapshot.Groups[i]
				if g.State != goroutine.Sleep || g.Count < least || p.Known(g.Stack) {
					continue
				}
				p.Report(detectors.Finding{
					Confidence: detectors.Info,
					Stack:      g.Stack,
					State:      g.State,
					Count:      g.Count,
					IDs:        g.IDs,
					Message:    fmt.Sprintf("%d goroutines sleep at %s.", g.Count, g.Stack.User().Function),
				})
			}
			return nil
		},
	}
}

// A detector of one's own, and what it finds in a simulated process.
func Example() {
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.Sleep, "time.Sleep", "main.poll:12"), 250)
	for _, step := range detectortest.Run(&testing.T{}, newSleepers(100), detectortest.Series(p, 2, time.Minute, nil)...) {
		fmt.Println(step.Findings[0].Confidence, step.Findings[0].Message)
	}
	// Output:
	// info 250 goroutines sleep at main.poll.
	// info 250 goroutines sleep at main.poll.
}
