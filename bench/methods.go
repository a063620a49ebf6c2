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
	leftOut  string       // why it is not measured; "": it is
	rounds   int          // at most; 0: as many as the scenario has
	times    int          // that one sample is the mean of; 0: once
	collects bool         // a garbage collection is part of it
	warm     func() error // once, before the first round; may be nil
	before   func() error // before each round, not measured; may be nil
	take     func() (seen int, err error)
}

// notCounted is what a method returns that does not count goroutines.
const notCounted = -1

const (
	nothingFor = 100 * time.Millisecond
	// textRounds is how often a goroutine dump is taken: it is slow, and no
	// number of rounds brings it near the others.
	textRounds = 3
	// warmUps are what a capturer needs to have its buffers.
	warmUps = 3
)

// methodsFor returns the methods of a scenario, in the order in which they
// take turns.
func methodsFor(s scenario) ([]method, error) {
	if s.Reading {
		return readingsFor(s)
	}
	snapshot := &taker{source: goroutine.SourceTrace, capturer: newCapturer(true)}
	fallback := &taker{source: goroutine.SourceProfile, capturer: newCapturer(false)}
	var reused recorder
	var traced decoding
	all := []method{
		{name: nothing, take: func() (int, error) { time.Sleep(nothingFor); return notCounted, nil }},
		{name: ours, warm: snapshot.warm, take: snapshot.take},
		{name: pprofParse, take: parseProfile("goroutine", 0)},
		{name: oursProfile, warm: fallback.warm, take: fallback.take},
		{name: records, take: func() (int, error) { return new(recorder).take() }},
		{name: recordsAgain, warm: once(reused.take), take: reused.take},
		{name: pprofText, take: parseProfile("goroutine", 1)}, // profile.Parse knows it too
		{name: tracerAlone, take: func() (int, error) { return notCounted, lab.Record(io.Discard) }},
		{name: ourDecoder, warm: traced.warm, before: traced.record, take: traced.ours},
	}
	if !s.Large {
		all = append(all,
			method{name: expDecoder, take: traced.exp}, // of the bytes that ours has just read
			method{name: textParse, rounds: textRounds, take: parseText},
			method{name: textPanic, rounds: textRounds, take: parsePanics})
	}
	if hasLeakProof() {
		all = append(all, method{name: leakProof, leftOut: tooLong(s), collects: true, take: parseProfile("goroutineleak", 0)})
	}
	return all, nil
}

func once(take func() (int, error)) func() error {
	return func() error { _, err := take(); return err }
}

// A taker takes snapshots as the monitor does.
type taker struct {
	source   goroutine.Source
	capturer *capture.Capturer
}

// newCapturer returns a capturer that its governor never refuses anything: it
// earns so fast that any snapshot is paid for in a millisecond.
func newCapturer(tracing bool) *capture.Capturer {
	return capture.New(capture.Config{
		Budget:  capture.Budget{CPU: 1000, Pause: time.Hour},
		Tracing: tracing,
	})
}

// warm takes the first snapshots: the very first one is a profile by design, and
// the first trace allocates what the later ones use.
func (t *taker) warm() error {
	for range warmUps {
		time.Sleep(10 * time.Millisecond) // to earn it
		if _, err := t.snapshot(); err != nil {
			return err
		}
	}
	return nil
}

func (t *taker) take() (int, error) {
	s, err := t.snapshot()
	if err == nil && s.Source != t.source {
		err = fmt.Errorf("the snapshot came from source %s, not from %s", s.Source, t.source)
	}
	if err != nil {
		return 0, err
	}
	return s.Total, nil
}

// snapshot gives one that was put off for the load the tries after which the
// capturer takes it all the same. Putting one off takes microseconds.
func (t *taker) snapshot() (*goroutine.Snapshot, error) {
	const tries = 10
	var skips []capture.Skip
	for range tries {
		var s *goroutine.Snapshot
		if s, skips = t.capturer.Take(); s != nil {
			return s, nil
		}
	}
	return nil, fmt.Errorf("%s: %w", skips[0].Source, skips[0].Refusal)
}

// A decoding reads one trace with two decoders.
type decoding struct {
	trace   bytes.Buffer
	decoder *parse.TraceDecoder
}

func (d *decoding) warm() error {
	d.decoder = parse.NewTraceDecoder(parse.NewStacks(), &goroutine.Births{})
	d.decoder.ExcludeReader = true
	for range warmUps {
		if err := d.record(); err != nil {
			return err
		}
		if _, err := d.ours(); err != nil {
			return err
		}
	}
	return nil
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
