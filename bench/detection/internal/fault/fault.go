// Package fault is what a process that runs a fault of the Go distribution and
// the one that starts it say to each other.
package fault

import (
	"time"

	"github.com/otelgoroutine/go/bench/detection/internal/events"
	"github.com/otelgoroutine/go/bench/detection/internal/leaks"
)

// An Order is what a process is to do.
type Order struct {
	Name     string // "": to print the names of the faults
	Scale    float64
	Duration time.Duration // from the first time that the fault may happen
	Once     bool
	Proof    bool
}

// An Observation is what it observed.
type Observation struct {
	Findings   []events.Finding // in the order of their time
	Goroutines int              // at the end
	Leaked     []leaks.Group    // what the runtime's own profile says at the end
}
