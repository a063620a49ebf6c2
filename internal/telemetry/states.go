// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package telemetry

import (
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelgoroutine/go/goroutine"
)

// The values of goroutine.state. They are the names used by runtime/metrics
// (/sched/goroutines/…:goroutines), in snake case.
const (
	stateRunning  = "running"
	stateRunnable = "runnable"
	stateWaiting  = "waiting"
	stateNotInGo  = "not_in_go"
)

// schedulerState returns the scheduler's name for a state. The scheduler's
// metrics count a goroutine as waiting if it is not on a CPU, in a run queue, in
// a system call or in C code. So does this function.
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

// The two attributes of a state relate to each other like go.cpu.state and
// go.cpu.detailed_state in the semantic conventions: one has a few stable
// values; the other has the runtime's own values, which change with its
// version. The first is derived from the second, so both together have no more
// series than the second alone.
func stateAttr(s goroutine.State) attribute.KeyValue {
	return attribute.String(AttrState, schedulerState(s))
}

func detailedStateAttr(s goroutine.State) attribute.KeyValue {
	return attribute.String(AttrDetailedState, clip(string(s), maxName))
}
