package capture

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// Deadline is how long a capture may take. The caller of a [Capturer] should call
// [Capturer.Abort] then, from another goroutine; the capture also notices by
// itself, wherever it is not inside a call of the runtime.
const Deadline = 5 * time.Second

// A deadline ends one capture: when its time has passed, or when end is called.
// Its methods are safe for concurrent use. A nil deadline never passes.
type deadline struct {
	at    time.Time
	once  sync.Once
	ended chan struct{} // closed by end
}

func newDeadline(after time.Duration) *deadline {
	return &deadline{at: time.Now().Add(after), ended: make(chan struct{})}
}

func (d *deadline) end() {
	if d != nil {
		d.once.Do(func() { close(d.ended) })
	}
}

// done returns a channel that is closed by end.
func (d *deadline) done() <-chan struct{} {
	if d == nil {
		return nil
	}
	return d.ended
}

// left returns how long it is until the deadline, and a day if there is none.
func (d *deadline) left() time.Duration {
	if d == nil {
		return 24 * time.Hour
	}
	return time.Until(d.at)
}

// over reports whether the capture has to end.
func (d *deadline) over() bool {
	if d == nil {
		return false
	}
	select {
	case <-d.ended:
		return true
	default:
		return !time.Now().Before(d.at)
	}
}

// err returns the refusal of a capture that has to end, or nil.
func (d *deadline) err() error {
	if !d.over() {
		return nil
	}
	return refuse(ReasonLate, "it took too long and was ended")
}

// An inProgress has the deadline of the capture in progress.
type inProgress struct{ current atomic.Pointer[deadline] }

// begin begins a capture that may take this long. The caller calls the result when
// the capture is over.
func (p *inProgress) begin(limit time.Duration) (end func()) {
	p.current.Store(newDeadline(limit))
	return func() { p.current.Store(nil) }
}

const (
	// firstRest is how long a source is not used after it was late for the first
	// time. The time doubles with each further time in a row, up to longestRest.
	// Another source takes its place meanwhile.
	firstRest = time.Minute
	// longestRest is also how long no trace is taken after one that was too large.
	// The recorder holds everything the process does in memory before it is
	// written, so a process that is this busy is not traced at every snapshot.
	longestRest = 10 * time.Minute
)

// A rest is a time during which a source is not used.
type rest struct {
	reason Reason
	span   time.Duration
	until  time.Time
}

// rests has the sources that were late or too large the last time.
type rests map[goroutine.Source]rest

// after lets a source rest if the capture that it has just tried was late or too
// large. The profile never rests, because no other source takes its place, and a
// dump that was too large finds a larger buffer the next time. A capture that
// succeeded, with a nil r, ends the rests of its source.
func (rs rests) after(s goroutine.Source, r *Refusal, now time.Time) {
	switch {
	case r == nil || s == goroutine.SourceProfile:
		delete(rs, s)
	case r.Reason == ReasonLate:
		span := min(max(2*rs[s].span, firstRest), longestRest)
		rs[s] = rest{r.Reason, span, now.Add(span)}
	case r.Reason == ReasonSize && s != goroutine.SourceText:
		rs[s] = rest{r.Reason, longestRest, now.Add(longestRest)}
	}
}

// refuse returns the refusal of a source that rests, or nil.
func (rs rests) refuse(s goroutine.Source, now time.Time) *Refusal {
	r := rs[s]
	left := r.until.Sub(now)
	if left <= 0 {
		return nil
	}
	why := "took too long"
	if r.reason == ReasonSize {
		why = "was too large"
	}
	return refuse(r.reason, "the last one %s; the next is tried in %v", why, left.Round(time.Second))
}
