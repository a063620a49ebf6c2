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
	windowSlack = time.Second
)

// A windowSource traces a span of time instead of a moment: what goroutines did in
// it, and what woke them. It is used only on suspicion, because the whole program
// is traced meanwhile and the flight recorder's slot is taken for that time.
type windowSource struct {
	trace   *traceSource
	opening cappedBuffer
	span    time.Duration   // of the next window
	stop    <-chan struct{} // ends it early
	traced  time.Duration   // CPU time that the last window cost beyond that of a trace
}

func (w *windowSource) name() goroutine.Source { return goroutine.SourceWindow }

// predict returns the CPU time that a window costs beyond that of two traces.
func (w *windowSource) predict(span time.Duration) time.Duration {
	return max(w.traced, time.Duration(windowLoad*float64(span)))
}

func (w *windowSource) ready() *Refusal { return w.trace.ready() }

func (w *windowSource) take(d *deadline) (r result, err error) {
	defer w.opening.release(keepTrace)
	w.opening.deadline = d
	r.traced = w.traced // unless this window measures it
	record := func(to io.Writer) (err error) {
		r.idle, err = w.record(to, d)
		return err
	}
	r.Snapshot, err = w.trace.read(d, record, func(data []byte, at time.Time) (*goroutine.Snapshot, error) {
		return w.trace.decoder.DecodeWindow(w.opening.data, data, at)
	})
	if err == nil {
		r.traced = time.Duration(r.Bytes) * byteCost
		w.traced = r.traced
	}
	return r, err
}

// record writes two generations. The first ends when the window opens and shows
// where every goroutine is; the second is the window's. record returns how long it
// waited.
func (w *windowSource) record(to io.Writer, d *deadline) (idle time.Duration, err error) {
	recorder, err := startRecorder()
	if err != nil {
		return 0, err
	}
	defer recorder.Stop()
	if err := writeTo(recorder, &w.opening); err != nil {
		return 0, err
	}
	if idle, err = w.wait(d); err != nil {
		return idle, err
	}
	return idle, writeTo(recorder, to)
}

// wait waits until the window closes. On a starved host that may come late; the
// window is then not read, because that costs what the program did meanwhile.
func (w *windowSource) wait(d *deadline) (idle time.Duration, err error) {
	began := time.Now()
	timer := time.NewTimer(w.span)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.stop:
	case <-d.done():
	}
	open := time.Since(began)
	if open > w.span+windowSlack {
		return open, refuse(ReasonLate, "a window of %v was open for %v", w.span, open.Round(time.Millisecond))
	}
	return open, d.err()
}
