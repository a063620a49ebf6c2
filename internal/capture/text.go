package capture

import (
	"bytes"
	"fmt"
	"runtime"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	// leastTextSize is how many bytes of dump a goroutine is assumed to have
	// at least: a dozen frames. The most is some 16 KiB, because a dump shows
	// 100 frames; textGrowth leads there in two steps.
	leastTextSize = 2 << 10
	textGrowth    = 4
	// minText and maxText bound the buffer. Predicted stops bound the dump
	// long before.
	minText = 64 << 10
	maxText = 64 << 20
)

// A textSource takes a goroutine dump. It is the only source that knows the
// addresses of locks, the go statement that made a goroutine, and since when
// one waits; and it stops the world while it is written, for 5.5 µs a goroutine
// with 12 frames. It is never a regular source.
type textSource struct {
	stacks *parse.Stacks
	size   int // bytes a goroutine, to make room for

	locks      []parse.Lock  // that goroutines waited for in the last dump
	stop       time.Duration // of the last dump; 0 once it was reported
	goroutines int           // that it stopped for
}

func newTextSource() *textSource {
	return &textSource{stacks: parse.NewStacks(), size: leastTextSize}
}

func (t *textSource) name() goroutine.Source { return goroutine.SourceText }

// take stops the world once: the buffer is made large enough for what the last
// dump leads to expect, instead of growing it and stopping again. A dump that
// does not fit is refused, because the goroutine in question may be missing;
// the next buffer is larger.
func (t *textSource) take() (*goroutine.Snapshot, error) {
	n := runtime.NumGoroutine()
	buf := make([]byte, min(max(t.size*(n+n/10), minText), maxText))
	began := time.Now()
	written := runtime.Stack(buf, true)
	at := time.Now()
	t.stop, t.goroutines = at.Sub(began), n
	if written == len(buf) {
		t.size = min(t.size*textGrowth, maxText)
		return nil, &Refusal{Reason: ReasonSize, Err: fmt.Errorf("the dump of %d goroutines is over %d KiB", n, len(buf)>>10)}
	}
	t.size = max(written/max(n, 1)*5/4, leastTextSize)
	return t.read(buf[:written], at)
}

// read reads a dump. It is of use as long as most of it could be read: what
// could not is counted as missing.
func (t *textSource) read(dump []byte, at time.Time) (*goroutine.Snapshot, error) {
	s, err := parse.Text(bytes.NewReader(dump), at, t.stacks, nil)
	if err != nil && s.Total <= s.Missing {
		return nil, &Refusal{Reason: ReasonError, Err: err}
	}
	s.Bytes = int64(len(dump))
	t.locks = nil
	if slices.ContainsFunc(s.Groups, func(g goroutine.Group) bool { return g.Lock != 0 }) {
		t.locks = parse.Locks(dump, new(unlockers).between)
	}
	return s, nil
}

// lastStop returns how long the last dump stopped the world, at most, and for
// how many goroutines. It tells each stop once.
func (t *textSource) lastStop() (time.Duration, int) {
	stop := t.stop
	t.stop = 0
	return stop, t.goroutines
}
