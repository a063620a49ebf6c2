// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"io"
	"runtime/trace"
	"time"
)

// Record writes a trace of all goroutines as they are: what the runtime does
// for one of our snapshots.
func Record(w io.Writer) error {
	r := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Nanosecond, MaxBytes: 1})
	if err := r.Start(); err != nil {
		return err
	}
	defer r.Stop()
	_, err := r.WriteTo(w)
	return err
}
