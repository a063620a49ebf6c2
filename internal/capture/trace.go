package capture

import (
	"errors"
	"fmt"
	"io"
	"runtime/trace"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// maxTrace bounds one trace. An idle process writes about 20 bytes a
// goroutine; what comes on top is what the program did in the window.
const maxTrace = 256 << 20

// largeTraceRest is how long the trace is left alone after one that was too
// large. The recorder holds in memory what the process did in the window before
// it is written; a process that is so busy is not asked again at every look.
const largeTraceRest = 10 * time.Minute

// keepTrace is how much of the buffer is kept from one snapshot to the next.
const keepTrace = 4 << 20

// A traceSource takes the execution trace of a moment and reads it as a
// goroutine dump: at the end of a trace's generation the runtime writes down
// the ID, the status and the full stack of every goroutine that had no event
// in it, suspending one goroutine at a time and never the world.
//
// It uses the process's one FlightRecorder slot and not the one that
// trace.Start takes: the latter belongs to /debug/pprof/trace and to the
// profilers of vendors, which come and go while the process runs and fail when
// the slot is taken. docs/DESIGN.md has the measurement.
type traceSource struct {
	decoder *parse.TraceDecoder
	buf     cappedBuffer
	rest    time.Time // until when no trace is taken
}

func newTraceSource(stacks *parse.Stacks) *traceSource {
	return &traceSource{decoder: parse.NewTraceDecoder(stacks, &goroutine.Births{})}
}

func (t *traceSource) name() goroutine.Source { return goroutine.SourceTrace }

func (t *traceSource) take() (*goroutine.Snapshot, error) {
	return t.read(record, t.decoder.Decode)
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
		return nil, &Refusal{Reason: ReasonVersion, Forever: true, Err: err}
	}
	if err != nil {
		return nil, &Refusal{Reason: ReasonError, Err: err}
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
		return &Refusal{Reason: ReasonSize, Err: fmt.Errorf("trace: %w", err)}
	}
	return nil
}

// startError tells a recorder of the user's, which may go away, from a runtime
// that cannot trace. The runtime has no error values for either.
func startError(err error) error {
	if strings.Contains(err.Error(), "already enabled") {
		return &Refusal{Reason: ReasonBusy, Err: err}
	}
	return &Refusal{Reason: ReasonError, Err: err}
}

// A cappedBuffer keeps what is written to it, up to maxTrace.
type cappedBuffer struct {
	data   []byte
	expect int // how much was written last
}

func (b *cappedBuffer) Write(p []byte) (int, error) {
	if len(b.data)+len(p) > maxTrace {
		return 0, fmt.Errorf("over %d MiB were written in one look; the process is too busy for this source", maxTrace>>20)
	}
	if cap(b.data) == 0 { // at once, instead of growing through every size below
		b.data = make([]byte, 0, min(max(b.expect+b.expect/8, len(p)), maxTrace))
	}
	b.data = append(b.data, p...)
	return len(p), nil
}

// release empties the buffer and gives its memory back when it is over keep.
func (b *cappedBuffer) release(keep int) {
	b.expect = len(b.data)
	if cap(b.data) > keep {
		b.data = nil
	}
	b.data = b.data[:0]
}
