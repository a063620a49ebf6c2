// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/parse"
)

// The methods, by the names they have in the tables.
const (
	nothing      = "nothing, for 100 ms"
	ours         = "**our snapshot**"
	oursProfile  = "our fallback (profile)"
	pprofParse   = "pprof debug=0 + Parse"
	pprofText    = "pprof debug=1 + Parse"
	records      = "GoroutineProfile, fresh"
	recordsAgain = "GoroutineProfile, reused"
	leakProof    = "goroutineleak + Parse"
	textParse    = "pprof debug=2 + gostackparse"
	textPanic    = "pprof debug=2 + panicparse"
	tracerAlone  = "the tracer alone, to io.Discard"
	ourDecoder   = "decode alone: ours"
	expDecoder   = "decode alone: x/exp/trace"
)

// peers are the methods of others that give the stacks of all goroutines.
var peers = []string{pprofParse, pprofText, records, recordsAgain, textParse, textPanic}

// A method is a way to take a snapshot of all goroutines, or to read metrics.
type method struct {
	name     string
	leftOut  string                       // why it is not measured; "": it is
	rounds   int                          // at most; 0: as many as the scenario has
	times    int                          // that one sample is the mean of; 0: once
	collects bool                         // a garbage collection is part of it
	warmUps  int                          // times that are not measured, before the first round
	before   func() error                 // before each time, not measured; may be nil
	take     func() (seen int, err error) // measured
}

// notCounted is what a method returns that does not count goroutines.
const notCounted = -1

const (
	nothingFor = 100 * time.Millisecond
	// textRounds is how often a goroutine dump is taken: it is slow, and no
	// number of rounds brings it near the others.
	textRounds = 3
	// warmUps are what a capturer needs: the first snapshot is a profile by design,
	// and the first trace allocates what the later ones use.
	warmUps = 3
)

// methodsFor returns the methods of a scenario, in the order in which they
// take turns.
func methodsFor(s scenario) ([]method, error) {
	if s.Reading {
		return readingsFor(s)
	}
	var reused recorder
	traced := newDecoding()
	all := []method{
		{name: nothing, take: func() (int, error) { time.Sleep(nothingFor); return notCounted, nil }},
		{name: ours, warmUps: warmUps, before: earn, take: snapshots(goroutine.SourceTrace)},
		{name: pprofParse, take: profiled("goroutine", 0, countProfile)},
		{name: oursProfile, warmUps: warmUps, before: earn, take: snapshots(goroutine.SourceProfile)},
		{name: records, take: func() (int, error) { return new(recorder).take() }},
		{name: recordsAgain, warmUps: 1, take: reused.take},
		{name: pprofText, take: profiled("goroutine", 1, countProfile)}, // profile.Parse knows it too
		{name: tracerAlone, take: func() (int, error) { return notCounted, lab.Record(io.Discard) }},
		{name: ourDecoder, warmUps: warmUps, before: traced.record, take: traced.ours},
	}
	if !s.Large {
		all = append(all,
			method{name: expDecoder, take: traced.exp}, // of the bytes that ours has just read
			method{name: textParse, rounds: textRounds, take: profiled("goroutine", 2, countText)},
			method{name: textPanic, rounds: textRounds, take: profiled("goroutine", 2, countPanics)})
	}
	if hasLeakProof() {
		all = append(all, method{name: leakProof, leftOut: tooLong(s), collects: true, take: profiled("goroutineleak", 0, countProfile)})
	}
	return all, nil
}

// snapshots returns what takes snapshots as the monitor does, from one source,
// with a capturer that its governor never refuses anything: it earns so fast
// that any snapshot is paid for in a millisecond. One that is put off for the
// load, which takes microseconds, gets the tries after which the capturer takes
// it all the same.
func snapshots(source goroutine.Source) func() (int, error) {
	const tries = 10
	c := capture.New(capture.Config{
		Budget:  capture.Budget{CPU: 1000, Pause: time.Hour},
		Tracing: source == goroutine.SourceTrace,
	})
	return func() (int, error) {
		s, skips := c.Take()
		for try := 1; s == nil && try < tries; try++ {
			s, skips = c.Take()
		}
		switch {
		case s == nil:
			return 0, fmt.Errorf("%s: %w", skips[0].Source, skips[0].Refusal)
		case s.Source != source:
			return 0, fmt.Errorf("the snapshot came from source %s, not from %s", s.Source, source)
		}
		return s.Total, nil
	}
}

// earn lets the capturer earn a snapshot.
func earn() error {
	time.Sleep(10 * time.Millisecond)
	return nil
}

// A decoding reads one trace with two decoders.
type decoding struct {
	trace   bytes.Buffer
	decoder *parse.TraceDecoder
}

func newDecoding() *decoding {
	d := &decoding{decoder: parse.NewTraceDecoder(parse.NewStacks(), &goroutine.Births{})}
	d.decoder.ExcludeReader = true
	return d
}

func (d *decoding) record() error {
	d.trace.Reset()
	return lab.Record(&d.trace)
}

func (d *decoding) ours() (int, error) {
	s, err := d.decoder.Decode(d.trace.Bytes(), time.Now())
	if err != nil {
		return 0, err
	}
	return s.Total, nil
}

func (d *decoding) exp() (int, error) { return countWithExp(bytes.NewReader(d.trace.Bytes())) }
