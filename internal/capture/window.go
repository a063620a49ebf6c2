package capture

import (
	"io"
	"runtime"
	"runtime/trace"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// windowLoad is what tracing is assumed to cost while a window is open, as
	// a share of one core, before one was measured.
	windowLoad = 0.1
	// byteCost is what the program pays for each byte that the tracer writes:
	// an event has some five of them and costs about a hundred nanoseconds.
	byteCost = 20 * time.Nanosecond
)

// A windowSource takes the trace of a span of time instead of a moment: what
// goroutines did in it, and who woke them. It is for a suspicion: all that the
// program does meanwhile is traced, and the flight recorder's slot is taken for
// as long.
type windowSource struct {
	trace   *traceSource
	opening cappedBuffer
	span    time.Duration
	stop    <-chan struct{} // ends a window early
	spent   time.Duration   // CPU time of the last one beyond that of a trace
}

func (w *windowSource) name() goroutine.Source { return goroutine.SourceWindow }

// take fails while the program traces itself: the generations of a trace that
// was there before begin and end whenever they like, and the last one alone is
// read.
func (w *windowSource) take() (*goroutine.Snapshot, error) {
	if trace.IsEnabled() {
		return nil, refuse(ReasonBusy, "the program takes a trace of its own")
	}
	s, err := w.trace.read(w.record, func(data []byte, at time.Time) (*goroutine.Snapshot, error) {
		return w.trace.decoder.DecodeWindow(w.opening.data, data, at)
	})
	w.opening.release(keepTrace)
	if err != nil {
		return nil, err
	}
	w.spent = time.Duration(s.Bytes) * byteCost
	return s, nil
}

// record writes two generations: the one that ends when the window opens, which
// tells where everybody is, and that of the window.
func (w *windowSource) record(to io.Writer) error {
	recorder, err := startRecorder()
	if err != nil {
		return err
	}
	defer recorder.Stop()
	if err := writeTo(recorder, &w.opening); err != nil {
		return err
	}
	w.wait()
	return writeTo(recorder, to)
}

func (w *windowSource) wait() {
	timer := time.NewTimer(w.span)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.stop:
	}
}

// Window takes a trace of a span of time, or less when stop is closed, if its
// predicted cost is covered. It returns nil and no skip where traces are not
// taken.
func (c *Capturer) Window(span time.Duration, stop <-chan struct{}) (*goroutine.Snapshot, *Skip) {
	if c.window == nil || c.retired[goroutine.SourceTrace] {
		return nil, nil
	}
	c.window.span, c.window.stop = span, stop
	if refusal := c.allowWindow(span); refusal != nil {
		return nil, skipped(c.window, refusal)
	}
	began := time.Now()
	s, refusal := guarded(c.window)
	now := time.Now()
	c.governor.Charge(max(now.Sub(began)-span, 0)+c.window.spent, now)
	complete(s, now.Sub(began))
	return s, skipped(c.window, refusal)
}

func (c *Capturer) allowWindow(span time.Duration) *Refusal {
	work, _ := c.governor.Predict(goroutine.SourceTrace, runtime.NumGoroutine())
	return c.governor.AllowCost(2*work+max(c.window.spent, time.Duration(windowLoad*float64(span))), 0, time.Now())
}
