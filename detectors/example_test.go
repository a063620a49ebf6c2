package detectors_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// A detector of one's own: too many goroutines that sleep at one place.
func Example() {
	sleepers := &detectors.Detector{
		Name: "sleepers",
		Doc:  "Many goroutines sleep at one place, where a ticker would do.",
		Run: func(p *detectors.Pass) error {
			for i := range p.Snapshot.Groups {
				g := &p.Snapshot.Groups[i]
				if g.State != goroutine.Sleep || g.Count < 100 || p.Known(g.Stack) {
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

	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.Sleep, "time.Sleep", "main.poll:12"), 250)
	for _, step := range detectortest.Run(&testing.T{}, sleepers, detectortest.Series(p, 2, time.Minute, nil)...) {
		fmt.Println(step.Findings[0].Confidence, step.Findings[0].Message)
	}
	// Output:
	// info 250 goroutines sleep at main.poll.
	// info 250 goroutines sleep at main.poll.
}

// The built-in detectors can be configured, and joined with others.
func ExampleNewLeak() {
	all := []*detectors.Detector{
		detectors.NewLeak(detectors.LeakConfig{MinAge: 15 * time.Minute}), // our requests may take ten
		detectors.NewDeadlock(detectors.DeadlockConfig{}),
	}
	fmt.Println(detectors.Validate(all))

	all[0] = detectors.NewLeak(detectors.LeakConfig{MinRise: -1})
	fmt.Println(detectors.Validate(all))
	// Output:
	// <nil>
	// detector 0 ("leak"): LeakConfig.MinRise is -1; allowed are 1 and more
}
