package capture

import (
	"errors"
	"io"
	"runtime/trace"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// largeTraceRest is for how long no trace is taken after one that was too
// large. The recorder holds all that the process does in memory before it is
// written, so a process that is so busy is not traced at every snapshot.
const largeTraceRest = 10 * time.Minute

// A traceSource takes the execution trace of a moment and reads it as a
// goroutine dump: at the end of each generation of a trace the runtime writes
// the ID, the status and the full stack of every goroutine that had no event in
// it, suspending one goroutine at a time and never the world.
//
// It uses the one slot for a FlightRecorder that a process has, and not the one
// of trace.Start. The latter belongs to /debug/pprof/trace and the profilers of
// vendors, which come and go while the process runs and fail when it is taken.
// docs/DESIGN.md has the measurement.
type traceSource struct {
	decoder *parse.TraceDecoder
	buf     cappedBuffer
	rest    time.Time // no trace is taken before
}

func newTraceSource(stacks *parse.Stacks) *traceSource {
	return &traceSource{decoder: parse.NewTraceDecoder(stacks, &goroutine.Births{})}
}

func (t *traceSource) name() goroutine.Source { return goroutine.SourceTrace }

func (t *traceSource) take() (result, error) {
	s, err := t.read(record, t.decoder.Decode)
	return result{Snapshot: s}, err
}

// read takes a trace as record does and decodes it.
func (t *traceSource) read(record func(io.Writer) error, decode func([]byte, time.Time) (*goroutine.Snapshot, error)) (*goroutine.Snapshot, error) {
	if rest := time.Until(t.rest); rest > 0 {
		return nil, refuse(ReasonSize, "the last trace was too large; the next is tried in %v", rest.Round(time.Second))
	}
	defer t.buf.release(keepTrace)
	t.decoder.ExcludeReader = !trace.IsEnabled()
	if err := record(&t.buf); err != nil {
		t.restAfter(err)
		return nil, err
	}
	s, err := decode(t.buf.data, time.Now())
	if errors.Is(err, parse.ErrTraceVersion) {
		return nil, refuseForever(ReasonVersion, "%w", err)
	}
	if err != nil {
		return nil, err // what could be read beside an error is not trusted
	}
	return s, nil
}

func (t *traceSource) restAfter(err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Reason == ReasonSize {
		t.rest = time.Now().Add(largeTraceRest)
	}
}

// record writes the trace of this moment to w: one generation, as short as the
// runtime lets it be.
func record(w io.Writer) error {
	recorder, err := startRecorder()
	if err != nil {
		return err
	}
	defer recorder.Stop()
	return writeTo(recorder, w)
}

// startRecorder starts a recorder that drops all but the last generation,
// because MinAge and MaxBytes are as small as they can be.
func startRecorder() (*trace.FlightRecorder, error) {
	recorder := trace.NewFlightRecorder(trace.FlightRecorderConfig{MinAge: time.Nanosecond, MaxBytes: 1})
	if err := recorder.Start(); err != nil {
		return nil, startError(err)
	}
	return recorder, nil
}

// writeTo ends a generation and writes it.
func writeTo(recorder *trace.FlightRecorder, w io.Writer) error {
	if _, err := recorder.WriteTo(w); err != nil {
		return refuse(ReasonSize, "trace: %w", err)
	}
	return nil
}

// startError tells a recorder of the user's, which may go away, from a runtime
// that cannot trace. The runtime has no error values for either.
func startError(err error) error {
	if strings.Contains(err.Error(), "already enabled") {
		return &Refusal{Reason: ReasonBusy, Err: err}
	}
	return err
}
