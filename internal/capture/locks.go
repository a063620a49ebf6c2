// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"runtime"
	"strconv"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/lockcode"
)

// A locksSource takes a trace of this moment with the queues for locks. A dump has
// the addresses of locks, too, but stops the world for a time that grows with the
// number of goroutines. A trace does not, so that this works in processes of any size.
//
// While the program runs a flight recorder that it has handed over, the trace is read
// from its recording.
type locksSource struct{ window *windowSource }

func (l *locksSource) name() goroutine.Source { return goroutine.SourceLocks }

// of returns the source of snapshots that works in the same way.
func (l *locksSource) of() source {
	s, _ := l.window.of(0)
	return s
}

func (l *locksSource) ready() *Refusal { return l.of().(interface{ ready() *Refusal }).ready() }

func (l *locksSource) needs(goroutines int) int64 {
	return l.of().(interface{ needs(int) int64 }).needs(goroutines)
}

func (l *locksSource) take(a *allowance) (res result, err error) {
	code, self := lockcode.NewReader(nil), currentID()
	decode := func(data []byte, at time.Time) (*goroutine.Snapshot, error) {
		return l.window.trace.decoder.DecodeLocks(data, at, code, self)
	}
	if r := l.window.recorder; l.of() == r {
		defer r.release(&r.last)
		apart, err := r.write(a, &r.last)
		res.elsewhere(apart)
		if err != nil {
			return res, err
		}
		r.prepare(a)
		res.Snapshot, err = decoded(decode(r.last.data, time.Now()))
		return res, err
	}
	res.Snapshot, err = l.window.trace.read(a, record, decode)
	return res, err
}

// currentID returns the ID of the calling goroutine, or 0. Only the text of its stack
// has it.
func currentID() uint64 {
	var buf [64]byte
	digits, _ := bytes.CutPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	digits, _, _ = bytes.Cut(digits, []byte(" "))
	id, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil {
		return 0
	}
	return id
}
