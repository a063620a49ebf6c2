package telemetry

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelgoroutine/go/goroutine"
)

// The values of goroutine.state: the words of runtime/metrics
// (/sched/goroutines/…:goroutines), in snake case.
const (
	stateRunning  = "running"
	stateRunnable = "runnable"
	stateWaiting  = "waiting"
	stateNotInGo  = "not_in_go"
)

// schedulerState returns what the scheduler calls a state. The scheduler's
// metrics count as waiting whatever is neither on a CPU, nor in a run queue, nor
// in a system call or in C code, and so does this.
func schedulerState(s goroutine.State) string {
	switch s {
	case goroutine.Running:
		return stateRunning
	case goroutine.Runnable:
		return stateRunnable
	case goroutine.Syscall:
		return stateNotInGo
	}
	return stateWaiting
}

// The two attributes of a state relate as go.cpu.state and
// go.cpu.detailed_state do in the semantic conventions: a few values that stay,
// and the runtime's own, which change with its version. The first follows from
// the second, so that both have no more series than the second alone.
func stateAttr(s goroutine.State) attribute.KeyValue {
	return attribute.String(AttrState, schedulerState(s))
}

func detailedStateAttr(s goroutine.State) attribute.KeyValue {
	return attribute.String(AttrDetailedState, clip(string(s), maxName))
}
