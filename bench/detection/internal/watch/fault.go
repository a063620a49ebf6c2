// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import "time"

// An Order is what a process that runs a fault of the Go distribution is to do.
type Order struct {
	Name     string // "": to answer with the names of the faults
	Scale    float64
	Duration time.Duration // from the first time that the fault may happen
	Once     bool
	Proof    bool
}

// An Observation is what it observed.
type Observation struct {
	Findings []Finding // in the order of their time
	Leaked   []Group   // what the runtime's own profile says at the end
}
