// Package fault is what a process that runs a fault of the Go distribution and
// the one that starts it say to each other.
package fault

import (
	"time"

	"github.com/otelgoroutine/go/bench/detection/internal/events"
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
	Leaked     []Leaked         // what the runtime's own profile says at the end
}

// Leaked is goroutines of one stack that can never go on.
type Leaked struct {
	Count     int
	Functions []string // the leaf first
}
