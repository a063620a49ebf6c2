package lab

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/internal/capture"
)

// AwaitParked waits until every goroutine but the caller is parked: until the
// scheduler, asked twice, has none that is ready or running. Counting those
// that are parked would not do: the runtime's own are among them, and more of
// these come while one counts.
func AwaitParked() error {
	const patience = time.Minute
	began := time.Now()
	for quiet := 0; quiet < 2; time.Sleep(time.Millisecond) {
		s := capture.ReadScheduler()
		if s.Runnable == 0 && s.Running <= 1 {
			quiet++
			continue
		}
		quiet = 0
		if time.Since(began) > patience {
			return fmt.Errorf("%d goroutines are ready and %d run after %v, expected all to be parked", s.Runnable, s.Running, patience)
		}
	}
	return nil
}
