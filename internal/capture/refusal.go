package capture

import "fmt"

// A Reason says why a capture did not happen. The values are those of the
// telemetry attribute goroutine.snapshot.skip_reason.
type Reason string

// The reasons.
const (
	ReasonBudget  Reason = "cpu_budget"          // CPU budget not earned yet
	ReasonPause   Reason = "pause_budget"        // predicted stop over the budget
	ReasonLoad    Reason = "overload"            // too many goroutines ready to run, or born meanwhile
	ReasonBusy    Reason = "slot_taken"          // the user's own flight recorder runs
	ReasonVersion Reason = "unsupported_version" // trace format of a Go release that is not known
	ReasonUnsafe  Reason = "unsafe"              // it could end the process
	ReasonSize    Reason = "too_large"           // more was written than is kept
	ReasonError   Reason = "error"               // anything else; the error was reported
)

// A Refusal is the error of a source that could not or must not run.
type Refusal struct {
	Reason  Reason
	Forever bool // it will not change in this process
	Err     error
}

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Err: fmt.Errorf(format, args...)}
}

func (r *Refusal) Error() string { return fmt.Sprintf("%s: %v", r.Reason, r.Err) }
func (r *Refusal) Unwrap() error { return r.Err }

// waits reports whether the same source may run later without anything being
// different but the time.
func (r *Refusal) waits() bool {
	return r.Reason == ReasonBudget || r.Reason == ReasonPause || r.Reason == ReasonLoad
}
