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

// largeTraceRest is how long no trace is taken after one that was too large. The
// recorder holds everything the process does in memory before it is written, so a
// process that is this busy is not traced at every snapshot.
const largeTraceRest = 10 * time.Minute

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
	rest    time.Time // no trace is taken before this time
}

func newTraceSource(stacks *parse.Stacks) *traceSource {
	return &traceSource{decoder: parse.NewTraceDecoder(stacks, &goroutine.Births{})}
}

func (t *traceSource) name() goroutine.Source { return goroutine.SourceTrace }

func (t *traceSource) take() (result, error) {
	s, err := t.read(record, t.decoder.Decode)
	return result{Snapshot: s}, err
}

// read takes a trace with record and decodes it.
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
		return nil, err // a partial result with an error is not trusted
	}
	return s, nil
}

func (t *traceSource) restAfter(err error) {
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Reason == ReasonSize {
		t.rest = time.Now().Add(largeTraceRest)
	}
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

// writeTo ends a generation and writes it.
func writeTo(recorder *trace.FlightRecorder, w io.Writer) error {
	if _, err := recorder.WriteTo(w); err != nil {
		return refuse(ReasonSize, "trace: %w", err)
	}
	return nil
}

// startError distinguishes a recorder of the user's, which may go away, from a
// runtime that cannot trace. The runtime has no error values for either case.
func startError(err error) error {
	if strings.Contains(err.Error(), "already enabled") {
		return &Refusal{Reason: ReasonBusy, Err: err}
	}
	return err
}
