// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"cmp"
	"io"
	"runtime"
	"runtime/trace"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A recorderSource takes snapshots from a flight recorder that the program runs
// itself and has handed over. To write a recording ends a generation of the trace,
// as it does for a traceSource; tracing is on anyway, and costs nothing more.
//
// While a recording is written here, the program's own call of WriteTo fails, and
// the other way round. So it is written as rarely and as quickly as possible: once
// for a snapshot, into memory.
type recorderSource struct {
	recorder *trace.FlightRecorder
	decoder  *parse.TraceDecoder
	last     generations
	size     size
	pending  chan written // of a call of WriteTo that has not returned in time
}

func newRecorderSource(recorder *trace.FlightRecorder, decoder *parse.TraceDecoder) *recorderSource {
	return &recorderSource{recorder: recorder, decoder: decoder}
}

func (r *recorderSource) name() goroutine.Source { return goroutine.SourceRecorder }

// ready refuses while the recorder is not running, and while an earlier call has
// not returned: the runtime's reader of traces may be waiting for a client of
// /debug/pprof/trace that has stopped reading.
func (r *recorderSource) ready() *Refusal {
	select {
	case <-r.pending:
		r.pending = nil
		r.release(&r.last)
	default:
	}
	switch {
	case r.pending != nil:
		return refuse(ReasonHung, "an earlier call of the flight recorder's WriteTo has not returned")
	case !r.recorder.Enabled():
		return refuse(ReasonStopped, "the program's flight recorder is not running")
	}
	return nil
}

// needs is as for a traceSource, but the copy in the recorder is the program's.
func (r *recorderSource) needs(goroutines int) int64 { return r.size.predict(goroutines) }

func (r *recorderSource) take(a *allowance) (res result, err error) {
	defer r.release(&r.last)
	apart, err := r.write(a, &r.last)
	res.elsewhere(apart)
	if err != nil {
		return res, err
	}
	r.prepare(a)
	r.size.note(len(r.last.data), runtime.NumGoroutine())
	res.Snapshot, err = decoded(r.decoder.Decode(r.last.data, time.Now()))
	return res.from(goroutine.SourceRecorder), err
}

// prepare prepares the decoder. The reader of the trace belongs to the program.
func (r *recorderSource) prepare(a *allowance) {
	r.decoder.Stop, r.decoder.ExcludeReader = a.err, false
}

// release empties a buffer, unless a call that has not returned may be using it.
func (r *recorderSource) release(buf *generations) {
	if r.pending == nil {
		buf.release(keepTrace)
	}
}

// A written is how a call of WriteTo ended.
type written struct {
	err error
	cpu time.Duration
}

// write writes the recording to buf and returns what that took. The call runs on
// a goroutine of its own, of which there is at most one, because the runtime cannot
// be told to give it up. When its time is over first, that goroutine keeps buf until the
// call returns, and write must not be called again before ready allows it.
func (r *recorderSource) write(a *allowance, buf limitedBuffer) (took usage, err error) {
	began := time.Now()
	done := make(chan written, 1)
	buf.begin(a)
	go func() { // the decoder leaves this goroutine out by its name
		var w written
		w.cpu = CPUTime(func() { w.err = writeTo(r.recorder, buf) })
		done <- w
	}()
	timer := time.NewTimer(a.left())
	defer timer.Stop()
	select {
	case w := <-done:
		return usage{time.Since(began), w.cpu}, cmp.Or(w.err, buf.complete(), a.err())
	case <-timer.C:
	case <-a.done():
	}
	r.pending = done
	return usage{wall: time.Since(began)}, refuse(ReasonLate, "the flight recorder's WriteTo took too long")
}

// A limitedBuffer is a buffer for one capture.
type limitedBuffer interface {
	io.Writer
	begin(a *allowance)
	complete() error // nil if it has all that it is to keep
}

// A generations buffer keeps only the last generation of the recording that is
// written to it, behind the recording's header.
type generations struct {
	cappedBuffer
	header int    // bytes
	number uint64 // of the generation
	large  error  // the generation does not fit: it is not kept
}

func (g *generations) begin(a *allowance) {
	g.cappedBuffer.begin(a)
	g.header, g.number, g.large = 0, 0, nil
}

func (g *generations) complete() error { return g.large }

// Write takes the header first, and then the batches one by one, as a
// trace.FlightRecorder writes them. A generation that does not fit is no error while
// another may follow.
func (g *generations) Write(p []byte) (int, error) {
	if g.header == 0 {
		g.header = len(p)
	} else if n := parse.TraceGeneration(p); n != 0 && n != g.number {
		g.data, g.number, g.large = g.data[:g.header], n, nil
	}
	if g.large != nil {
		return len(p), nil
	}
	n, err := g.cappedBuffer.Write(p)
	if refusal := refusalOf(err); refusal == nil || refusal.Reason != ReasonSize {
		return n, err
	}
	g.data, g.large = g.data[:min(g.header, len(g.data))], err
	return len(p), nil
}
