// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

const (
	// leastTextSize is the minimum number of bytes that a goroutine is assumed to
	// take in a dump: a dozen frames. The maximum is about 16 KiB, for the 100
	// frames that a dump shows; textGrowth reaches it in two steps.
	leastTextSize = 2 << 10
	textGrowth    = 4
	textRetries   = 2
	// delayed is how many times the CPU time of a dump its stop of the world counts at
	// most. The rest is a host that did not run the thread, which says nothing of the
	// next dump; with it, one slow moment would forbid dumps for a long time.
	delayed = 2
	// minText and maxText bound the buffer. The predicted stop limits a dump long
	// before maxText does.
	minText = 64 << 10
	maxText = 64 << 20
)

// A textSource takes a goroutine dump. It is the only source that knows the
// addresses of locks, the go statement that started a goroutine, and how long each
// goroutine has waited. The world is stopped while the dump is written, for 5.5 µs
// per goroutine with 12 frames, so it is a regular source only while no trace can be
// taken.
type textSource struct {
	stacks *parse.Stacks
	births *goroutine.Births // of a series; nil for a single dump
	mixed  bool              // the series has traces too
	size   int               // bytes per goroutine to allocate
	keep   bool              // the text, beside what was read from it
	labels []string          // keys of the labels to read; not in a series
}

func newTextSource() *textSource {
	return &textSource{stacks: parse.NewStacks(), size: leastTextSize}
}

// newTextSeries returns a source whose snapshots make a series with those of traces:
// with the same epochs, and without the stack of the goroutine that takes them.
func newTextSeries(stacks *parse.Stacks, births *goroutine.Births) *textSource {
	return &textSource{stacks: stacks, births: births, size: leastTextSize}
}

func (t *textSource) name() goroutine.Source { return goroutine.SourceText }

// room returns the size of the buffer for a dump, with room for a tenth more
// goroutines than there are.
func (t *textSource) room(goroutines int) int {
	return min(max(t.size*(goroutines+goroutines/10), minText), maxText)
}

func (t *textSource) needs(goroutines int) int64 { return int64(t.room(goroutines)) }

// take sizes the buffer from the last dump, so that the world is stopped once. A
// dump that does not fit may lack the goroutine in question: it is taken again with a
// larger buffer, and refused if it does not fit after the second time.
func (t *textSource) take(a *allowance) (r result, err error) {
	n := runtime.NumGoroutine()
	for range 1 + textRetries {
		buf := make([]byte, min(t.room(n), a.most(maxText)))
		before, clocked := cpuClock()
		began := time.Now()
		written := runtime.Stack(buf, true)
		at := time.Now()
		after, _ := cpuClock()
		stop := at.Sub(began)
		if used := after - before; clocked && used > 0 { // not if the goroutine changed its thread
			stop = min(stop, delayed*(used+clockGrain))
		}
		r.stop = max(r.stop, stop)
		if written < len(buf) {
			t.size = max(written/max(n, 1)*5/4, leastTextSize)
			r.Snapshot, err = t.read(buf[:written], at, a)
			if t.keep {
				r.dump = parse.WithoutLabels(buf[:written:written])
			}
			return r, err
		}
		t.size = min(t.size*textGrowth, maxText)
		err = refuse(ReasonSize, "the dump of %d goroutines is over %d KiB", n, len(buf)>>10)
		if a.err() != nil {
			break
		}
	}
	return r, err
}

// read reads a dump and the locks in it. A dump is useful as long as most of it
// could be read; the rest is counted as missing.
func (t *textSource) read(dump []byte, at time.Time, a *allowance) (*goroutine.Snapshot, error) {
	if t.births != nil {
		dump = withoutFirstStack(dump)
	}
	s, err := t.parse(&limitedReader{bytes.NewReader(dump), a}, at)
	if err := a.err(); err != nil {
		return nil, err
	}
	if err != nil && s.Total <= s.Missing {
		return nil, err
	}
	s.Bytes = int64(len(dump))
	if t.mixed {
		asTraced(s)
	}
	if t.births == nil && slices.ContainsFunc(s.Groups, func(g goroutine.Group) bool { return g.State.Lock() }) {
		s.Locks = parse.Locks(&limitedReader{bytes.NewReader(dump), a}, codeOfStacks())
	}
	if err := a.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// parse reads the labels of single goroutines too, unless the dump is one of a series:
// its snapshots are shown and saved.
func (t *textSource) parse(r io.Reader, at time.Time) (*goroutine.Snapshot, error) {
	if t.births == nil && len(t.labels) > 0 {
		return parse.LabelledText(r, at, t.stacks, parse.Labels{Keys: t.labels})
	}
	return parse.Text(r, at, t.stacks, t.births)
}

// asTraced removes what a trace does not have, the addresses of locks and the waits.
// A detector that judged by them would see its finding gone with the next trace.
func asTraced(s *goroutine.Snapshot) {
	for i := range s.Groups {
		s.Groups[i].Lock, s.Groups[i].Wait = 0, 0
	}
}

// withoutFirstStack removes the stack of the goroutine that comes first, which is the
// one that called runtime.Stack. A trace has no stack of a running goroutine, and the
// snapshots of a series must agree. It overwrites the stack.
func withoutFirstStack(dump []byte) []byte {
	header, end := bytes.IndexByte(dump, '\n'), bytes.Index(dump, []byte("\n\n"))
	if header < 0 || end < header {
		return dump
	}
	copy(dump[end-header:], dump[:header])
	return dump[end-header:]
}

// A limitedReader reads as long as its capture is allowed to.
type limitedReader struct {
	io.Reader
	allowed *allowance
}

func (r *limitedReader) Read(p []byte) (int, error) {
	if err := r.allowed.err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}
