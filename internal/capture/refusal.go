// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import "fmt"

// A Reason says why a capture did not happen. The values are those of the
// telemetry attribute goroutine.snapshot.skip_reason.
type Reason string

// The reasons.
const (
	ReasonBudget  Reason = "cpu_budget"          // its predicted CPU time has not been earned yet
	ReasonPause   Reason = "pause_budget"        // its predicted stop of the world exceeds the budget
	ReasonLoad    Reason = "overload"            // too many goroutines are ready to run, or were created meanwhile
	ReasonBusy    Reason = "slot_taken"          // the program takes a trace of its own, or writes its own recording
	ReasonStopped Reason = "not_running"         // the flight recorder that was handed over is not running
	ReasonVersion Reason = "unsupported_version" // this Go release lacks it, or writes an unknown trace format
	ReasonUnsafe  Reason = "unsafe"              // it could end the process
	ReasonSize    Reason = "too_large"           // more was written than can be kept
	ReasonMemory  Reason = "memory_limit"        // it could take too much of the memory limit
	ReasonLate    Reason = "deadline"            // it took longer than its deadline and was ended, or did so a short while ago
	ReasonHung    Reason = "hung"                // an earlier capture has not returned
	ReasonError   Reason = "error"               // anything else; the error was reported
)

// A Refusal is the error of a source that could not or must not run.
type Refusal struct {
	Reason  Reason
	Forever bool // as long as the process lives
	Err     error
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

func refuseForever(reason Reason, format string, args ...any) *Refusal {
	r := refuse(reason, format, args...)
	r.Forever = true
	return r
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Reason, r.Err) }
func (r *Refusal) Unwrap() error { return r.Err }

// waits reports whether the same source may run later without any change but the
// passing of time. A stop that is too long stays too long while there are as many
// goroutines.
func (r *Refusal) waits() bool {
	return r.Reason == ReasonBudget || r.Reason == ReasonLoad
}
