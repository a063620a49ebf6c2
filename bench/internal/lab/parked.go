package lab

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/internal/capture"
)

// AwaitParked waits until n goroutines are parked, by the scheduler's own
// count, which has the runtime's among them.
func AwaitParked(n int64) error {
	const patience = time.Minute
	for began := time.Now(); capture.ReadScheduler().Waiting < n; time.Sleep(time.Millisecond) {
		if time.Since(began) > patience {
			return fmt.Errorf("%d of %d goroutines wait after %v", capture.ReadScheduler().Waiting, n, patience)
		}
	}
	return nil
}
