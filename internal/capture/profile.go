// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"runtime"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	// profileTries is how many attempts are made when more goroutines are created
	// meanwhile than the buffer has room for.
	profileTries = 3
	// keepRecords is how many records of the buffer are kept for the next
	// snapshot: 16 MiB of them.
	keepRecords = 16 << 20 / recordSize
	recordSize  = 32 * 8
)

// A profileSource takes the runtime's goroutine profile: every stack, up to 32
// frames, without IDs. It stops the world for a time that does not depend on the
// number of goroutines.
type profileSource struct {
	stacks  *parse.Stacks
	records []runtime.StackRecord
}

func (p *profileSource) name() goroutine.Source { return goroutine.SourceProfile }

func (p *profileSource) take(a *allowance) (result, error) {
	defer p.release(a)
	n, err := p.fill(a, runtime.GoroutineProfile)
	if err != nil {
		return result{}, err
	}
	counts := make(map[[32]uintptr]int)
	for i := range p.records[:n] {
		counts[p.records[i].Stack0]++
	}
	counted := make([]parse.Counted, 0, len(counts))
	for pcs, count := range counts {
		if err := a.err(); err != nil {
			return result{}, err
		}
		counted = append(counted, parse.Counted{Frames: symbolize(pcs[:]), Count: count})
	}
	return result{Snapshot: parse.FromCounted(counted, goroutine.SourceProfile, time.Now(), p.stacks)}, nil
}

// needs returns the size of the buffer.
func (p *profileSource) needs(goroutines int) int64 {
	return recordSize * (int64(goroutines) + int64(goroutines)/10)
}

// fill takes the profile into the buffer, with room for a tenth more goroutines
// than there are. It gives up if their number keeps growing faster, as it does
// while a service starts. A later snapshot will do.
func (p *profileSource) fill(a *allowance, profile func([]runtime.StackRecord) (int, bool)) (int, error) {
	n := runtime.NumGoroutine()
	for try := range profileTries {
		if room := n + n/10<<try + 16; len(p.records) < room {
			p.records = make([]runtime.StackRecord, room)
		}
		var ok bool
		if n, ok = profile(p.records); ok {
			return n, a.err()
		}
		if err := a.err(); err != nil {
			return 0, err
		}
	}
	return 0, refuse(ReasonLoad, "goroutine profile: the number of goroutines grew by over a tenth in each of %d tries, to %d", profileTries, n)
}

func (p *profileSource) release(a *allowance) {
	if len(p.records) > a.most(keepRecords*recordSize)/recordSize {
		p.records = nil
	}
}

// symbolize turns program counters, terminated by a zero, into frames.
func symbolize(pcs []uintptr) []goroutine.Frame {
	n := 0
	for n < len(pcs) && pcs[n] != 0 {
		n++
	}
	if n == 0 {
		return nil
	}
	var frames []goroutine.Frame
	for it := runtime.CallersFrames(pcs[:n]); ; {
		f, more := it.Next()
		frames = append(frames, goroutine.Frame{Function: f.Function, File: f.File, Line: f.Line})
		if !more {
			return frames
		}
	}
}
