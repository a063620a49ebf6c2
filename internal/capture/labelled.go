package capture

import (
	"runtime/pprof"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A labelledSource takes the goroutine profile in pprof's own format, which is
// the only one that has the labels of runtime/pprof.Do. It costs about twice
// what profileSource costs.
type labelledSource struct {
	stacks *parse.Stacks
	keys   []string
	buf    cappedBuffer
}

func newLabelledSource(stacks *parse.Stacks, keys []string) *labelledSource {
	return &labelledSource{stacks: stacks, keys: keys}
}

func (l *labelledSource) name() goroutine.Source { return goroutine.SourceLabelled }

func (l *labelledSource) take() (*goroutine.Snapshot, error) {
	defer l.buf.release(keepTrace)
	if err := pprof.Lookup("goroutine").WriteTo(&l.buf, 0); err != nil {
		return nil, err
	}
	return parse.Profile(l.buf.data, time.Now(), l.stacks, l.keys)
}
