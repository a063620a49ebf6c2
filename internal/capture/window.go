// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"io"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// windowLoad is the assumed cost of tracing while a window is open, as a share
	// of one core, before it has been measured.
	windowLoad = 0.1
	// byteCost is what each byte that the tracer writes costs the program: an
	// event has about five bytes and costs about a hundred nanoseconds.
	byteCost = 20 * time.Nanosecond
	// windowSlack is how much longer than asked for a window may be open.
	windowSlack = leastLate
)

// A windowSource traces a span of time instead of a moment: what goroutines did in
// it, and what woke them. It is used only on suspicion, because the whole program
// is traced meanwhile and the flight recorder's slot is taken for that time.
//
// While the program runs a flight recorder that it has handed over, the window is
// read from its recording.
type windowSource struct {
	trace    *traceSource
	recorder *recorderSource // nil: none was handed over
	opening  cappedBuffer
	opened   generations     // of the recorder
	span     time.Duration   // of the next window
	stop     <-chan struct{} // ends it early
	traced   time.Duration   // CPU time that the last window cost beyond that of a trace
	bytes    int64           // of the last window
}

func (w *windowSource) name() goroutine.Source { return goroutine.SourceWindow }

// of returns the source of snapshots that works in the same way, and how much CPU
// time a window costs beyond that of two snapshots.
func (w *windowSource) of(span time.Duration) (s source, more time.Duration) {
	if w.recorder != nil && w.recorder.recorder.Enabled() {
		return w.recorder, 0
	}
	return w.trace, max(w.traced, time.Duration(windowLoad*float64(span)))
}

// needs returns the memory for a window: another trace, which shows where it opened,
// and what the program did in it.
func (w *windowSource) needs(goroutines int) int64 {
	s, _ := w.of(w.span)
	return 2*s.(interface{ needs(int) int64 }).needs(goroutines) + w.bytes
}

func (w *windowSource) take(a *allowance) (result, error) {
	if s, _ := w.of(w.span); s == w.recorder {
		return w.takeRecorded(a)
	}
	return w.takeTraced(a)
}

// windowTries is how often a window is opened in a recording. The runtime ends a
// generation every second, and everything that writes the recording does too. A
// window must be one generation; the next one after such an end is.
const windowTries = 2

// takeRecorded writes the recording when the window opens and when it closes.
func (w *windowSource) takeRecorded(a *allowance) (r result, err error) {
	defer w.recorder.release(&w.opened)
	defer w.recorder.release(&w.recorder.last)
	for range windowTries {
		if err := w.recordWindow(a, &r); err != nil {
			return r, err
		}
		if w.recorder.last.number == w.opened.number+1 {
			w.recorder.prepare(a)
			w.bytes = int64(len(w.recorder.last.data))
			r.Snapshot, err = decoded(w.recorder.decoder.DecodeWindow(w.opened.data, w.recorder.last.data, time.Now()))
			return r, err
		}
	}
	return r, refuse(ReasonBusy, "the recording was written by the program in each of %d windows", windowTries)
}

// recordWindow writes the generation that ends when the window opens, and the window's.
func (w *windowSource) recordWindow(a *allowance, r *result) error {
	apart, err := w.recorder.write(a, &w.opened)
	r.elsewhere(apart)
	if err != nil {
		return err
	}
	idle, err := w.wait(a)
	r.idle += idle
	if err != nil {
		return err
	}
	apart, err = w.recorder.write(a, &w.recorder.last)
	r.elsewhere(apart)
	return err
}

func (w *windowSource) takeTraced(a *allowance) (r result, err error) {
	defer w.opening.release(keepTrace)
	w.opening.begin(a)
	r.traced = w.traced // unless this window measures it
	record := func(to io.Writer) (err error) {
		r.idle, err = w.record(to, a)
		return err
	}
	r.Snapshot, err = w.trace.read(a, record, func(data []byte, at time.Time) (*goroutine.Snapshot, error) {
		return w.trace.decoder.DecodeWindow(w.opening.data, data, at)
	})
	if err == nil {
		r.traced = time.Duration(r.Bytes) * byteCost
		w.traced, w.bytes = r.traced, r.Bytes
	}
	return r, err
}

// record writes two generations. The first ends when the window opens and shows
// where every goroutine is; the second is the window's. record returns how long it
// waited.
func (w *windowSource) record(to io.Writer, a *allowance) (idle time.Duration, err error) {
	recorder, err := startRecorder()
	if err != nil {
		return 0, err
	}
	defer recorder.Stop()
	if err := writeTo(recorder, &w.opening); err != nil {
		return 0, err
	}
	if idle, err = w.wait(a); err != nil {
		return idle, err
	}
	return idle, writeTo(recorder, to)
}

// wait waits until the window closes. On a starved host that may come late; the
// window is then not read, because that costs what the program did meanwhile.
func (w *windowSource) wait(a *allowance) (idle time.Duration, err error) {
	began := time.Now()
	timer := time.NewTimer(w.span)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.stop:
	case <-a.done():
	}
	open := time.Since(began)
	if open > w.span+windowSlack {
		return open, refuse(ReasonLate, "a window of %v was open for %v", w.span, open.Round(time.Millisecond))
	}
	return open, a.err()
}
