// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime/pprof"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A labelledSource takes the goroutine profile in pprof's own format, the only
// format that has the labels of runtime/pprof.Do on every Go version. It costs
// about twice as much as profileSource.
type labelledSource struct {
	stacks *parse.Stacks
	labels parse.Labels
	buf    cappedBuffer
}

func (l *labelledSource) name() goroutine.Source { return goroutine.SourceLabelled }

// needs returns the size of the records that runtime/pprof allocates, each with its
// labels.
func (l *labelledSource) needs(goroutines int) int64 { return 2 * recordSize * int64(goroutines) }

func (l *labelledSource) take(a *allowance) (result, error) {
	defer l.buf.release(keepTrace)
	l.buf.begin(a)
	if err := pprof.Lookup("goroutine").WriteTo(&l.buf, 0); err != nil {
		return result{}, err
	}
	if err := a.err(); err != nil {
		return result{}, err
	}
	s, err := parse.Profile(l.buf.data, time.Now(), l.stacks, l.labels)
	return result{Snapshot: s}, err
}
