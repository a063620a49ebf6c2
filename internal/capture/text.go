package capture

import (
	"bytes"
	"fmt"
	"runtime"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	// firstTextSize is how many bytes of dump a goroutine is assumed to have
	// before one was taken; deep stacks have several KiB.
	firstTextSize = 2 << 10
	// maxText bounds a dump. Predicted stops bound it long before.
	maxText = 64 << 20
)

// A textSource takes a goroutine dump. It is the only source that knows the
// addresses of locks, the go statement that made a goroutine, and since when
// one waits; and it stops the world while it is written, about 7 µs a
// goroutine. It is never a regular source.
type textSource struct {
	stacks *parse.Stacks
	size   int // bytes a goroutine, of the last dump
}

func newTextSource() *textSource {
	return &textSource{stacks: parse.NewStacks(), size: firstTextSize}
}

func (t *textSource) name() goroutine.Source { return goroutine.SourceText }

// take stops the world once: the buffer is made large enough for what the last
// dump leads to expect, instead of growing it and stopping again. A dump that
// does not fit is refused, because the goroutine in question may be missing;
// the next buffer is twice as large.
func (t *textSource) take() (*goroutine.Snapshot, error) {
	n := runtime.NumGoroutine()
	buf := make([]byte, min(t.size*(n+n/10+8), maxText))
	written := runtime.Stack(buf, true)
	at := time.Now()
	if written == len(buf) {
		t.size *= 2
		return nil, &Refusal{Reason: ReasonSize, Err: fmt.Errorf("the dump of %d goroutines is over %d KiB", n, len(buf)>>10)}
	}
	t.size = max(written/max(n, 1)*5/4, 256)
	s, err := parse.Text(bytes.NewReader(buf[:written]), at, t.stacks, nil)
	if err != nil {
		return nil, &Refusal{Reason: ReasonError, Err: err}
	}
	s.Bytes = int64(written)
	return s, nil
}
