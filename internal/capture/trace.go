// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"runtime"
	"runtime/trace"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A traceSource takes an execution trace of one moment and reads it like a
// goroutine dump. At the end of each generation of a trace, the runtime writes the
// ID, the status and the full stack of every goroutine that had no event in it. It
// suspends one goroutine at a time and never stops the world.
//
// It uses the single FlightRecorder slot that a process has, not the slot of
// trace.Start. The latter belongs to /debug/pprof/trace and to vendors' profilers,
// which come and go while the process runs and fail when the slot is taken.
// docs/DESIGN.md has the measurement.
type traceSource struct {
	decoder *parse.TraceDecoder
	buf     cappedBuffer
	size    size
}

func newTraceSource(stacks *parse.Stacks, births *goroutine.Births) *traceSource {
	d := parse.NewTraceDecoder(stacks, births)
	d.Passed = own.passed
	return &traceSource{decoder: d}
}

func (t *traceSource) name() goroutine.Source { return goroutine.SourceTrace }

// ready refuses while a trace is taken that is not ours. To join it would make its
// reader ours as well: when a client of /debug/pprof/trace stops reading, the
// runtime's reader of traces waits for it, and everything that ends a generation
// waits for that reader.
func (t *traceSource) ready() *Refusal {
	if trace.IsEnabled() {
		return refuse(ReasonBusy, "the program takes an execution trace, or runs a flight recorder, of its own")
	}
	return nil
}

// needs returns the memory for a trace: it is in the runtime's buffers, in the
// recorder and here.
func (t *traceSource) needs(goroutines int) int64 { return 3 * t.size.predict(goroutines) }

func (t *traceSource) take(a *allowance) (result, error) {
	n := runtime.NumGoroutine()
	s, err := t.read(a, record, t.decoder.Decode)
	if err == nil {
		t.size.note(int(s.Bytes), n)
	}
	return result{Snapshot: s}, err
}

// read takes a trace with record and decodes it.
func (t *traceSource) read(a *allowance, record func(io.Writer) error, decode func([]byte, time.Time) (*goroutine.Snapshot, error)) (*goroutine.Snapshot, error) {
	defer t.buf.release(keepTrace)
	t.buf.begin(a)
	t.decoder.Stop, t.decoder.ExcludeReader = a.err, true
	if err := cmp.Or(record(&t.buf), a.err()); err != nil {
		return nil, err
	}
	return decoded(decode(t.buf.data, time.Now()))
}

// decoded returns what a decoder returned, or a refusal. A partial result with an
// error is not trusted.
func decoded(s *goroutine.Snapshot, err error) (*goroutine.Snapshot, error) {
	switch {
	case errors.Is(err, parse.ErrTraceVersion):
		return nil, refuseForever(ReasonVersion, "%w", err)
	case err != nil:
		return nil, err
	}
	return s, nil
}

// record writes a trace of this moment to w: one generation, as short as the
// runtime allows.
func record(w io.Writer) error {
	recorder, err := startRecorder()
	if err != nil {
		return err
	}
	defer recorder.Stop()
	return writeTo(recorder, w)
}

// startRecorder starts a recorder that drops all but the last generation, because
// MinAge and MaxBytes are as small as possible.
func startRecorder() (*trace.FlightRecorder, error) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Nanosecond, MaxBytes: 1})
	if err := recorder.Start(); err != nil {
		return nil, startError(err)
	}
	return recorder, nil
}

// writeTo ends a generation and writes it. The runtime has no error values for a
// recording that is being written already, and for a recorder that was stopped
// meanwhile, as the program may do with its own. It does not synchronize the two, so
// that even a panic is possible then; it becomes an error.
func writeTo(recorder *trace.FlightRecorder, w io.Writer) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the flight recorder's WriteTo: panic: %v", p)
		}
	}()
	_, err = recorder.WriteTo(w)
	switch {
	case err == nil:
		return nil
	case strings.Contains(err.Error(), "already in progress"):
		return &Refusal{Reason: ReasonBusy, Err: err}
	case strings.Contains(err.Error(), "disabled"):
		return &Refusal{Reason: ReasonStopped, Err: err}
	}
	return err
}

// startError distinguishes a recorder of the user's, which may go away, from a
// runtime that cannot trace. The runtime has no error values for either case.
func startError(err error) error {
	if strings.Contains(err.Error(), "already enabled") {
		return &Refusal{Reason: ReasonBusy, Err: err}
	}
	return err
}

// A size predicts the size of a trace from the number of goroutines. The zero value
// assumes firstSize.
type size struct{ perGoroutine float64 }

const (
	// firstSize is the size of a trace per goroutine, in bytes, that is assumed
	// before the first: an idle goroutine takes 20, the rest is what it did.
	firstSize = 64
	// leastSize is the smallest number of goroutines that a size is divided by:
	// the stacks and names do not grow with them.
	leastSize = 1000
)

func (s *size) predict(goroutines int) int64 {
	return int64(max(s.perGoroutine, firstSize) * float64(goroutines))
}

// note records a size. The prediction rises at once and falls slowly, because a
// process that was busy is likely to be busy again.
func (s *size) note(bytes, goroutines int) {
	measured := float64(bytes) / float64(max(goroutines, leastSize))
	s.perGoroutine = max(measured, s.perGoroutine-(s.perGoroutine-measured)/4)
}
