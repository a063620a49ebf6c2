// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"go.opentelemetry.io/otel"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// An order is what a child is to do.
type order struct {
	Name     string
	Scale    float64
	Duration time.Duration
	Proof    bool

	Outside *corpus.Outside // what to be instead of a program
}

// minute is how far apart the other rules' checks are, scaled.
func (o order) minute() time.Duration { return time.Duration(o.Scale * float64(time.Minute)) }

// An observation is what a child observed.
type observation struct {
	Served, Faults int64
	FirstFault     time.Duration     // since the start
	Standstill     time.Duration     // since the start; 0 if the program does not tell
	Passed         time.Duration     // when the fault was over, since the start; 0 if it is not
	Lasted, Minute time.Duration     // how long the run was, and how long a minute is
	Standing       int               // goroutines within an expected function, at the end
	Events         []watch.Finding   // in the order of their time; without those of an end
	Ends           []watch.Finding   // events that tell an end
	Open           []watch.Finding   // at the end
	Thinned        []falseEnd        // ends of a standing fault that a thinned series would tell
	Course         []int             // goroutines within an expected function, at twelve moments
	Alarms         [len(rules)]alarm // of the other rules
}

// real converts a time of the run to that of a service.
func (o *observation) real(d time.Duration) time.Duration {
	return time.Duration(float64(d) / float64(o.Minute) * float64(time.Minute))
}

// passed reports whether the fault was over at a time: its end may be told.
func (o *observation) passed(at time.Duration) bool { return o.Passed > 0 && at >= o.Passed }

// observe runs a scenario under the monitor, and leaves it running. Nothing of
// its own waits in a way that a detector could take for the scenario's: it is
// driven by timers, and the main goroutine waits for a WaitGroup, unless the
// scenario needs it.
func observe(o order) (any, error) {
	if o.Outside != nil {
		return nil, beOutside(o.Outside)
	}
	s, ok := corpus.Find(o.Name)
	if !ok {
		return nil, fmt.Errorf("no scenario is called %q", o.Name)
	}
	r, err := newTrial(o, &s)
	if err != nil {
		return nil, err
	}
	if s.Main {
		go func() { end(r.finish()) }()
		s.Run(r.env)
	}
	go s.Run(r.env)
	return r.finish()
}

// A trial is a scenario under the monitor.
type trial struct {
	order
	scenario *corpus.Scenario
	env      *corpus.Env
	monitor  *otelgoroutine.Monitor
	told     *watch.Log
	witness  *witness
	others   *rivals
	seen     *observation
}

// newTrial starts the monitor and all that watches beside it.
func newTrial(o order, s *corpus.Scenario) (*trial, error) {
	seen := &observation{Lasted: o.Duration, Minute: o.minute()}
	t := &trial{
		order: o, scenario: s, env: corpus.NewEnv(o.Scale), told: &watch.Log{Began: time.Now()},
		witness: &witness{seen: seen, scenario: s, every: o.Duration / 12}, seen: seen,
	}
	t.env.Outside = spawn
	reader := sdkmetric.NewManualReader()
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)),
		t.told.Options(o.Scale, o.Proof, &detectors.Detector{Name: "witness", Doc: "Counts the goroutines of the fault.", Run: t.witness.run})...)
	if err != nil {
		return nil, err
	}
	t.monitor, t.others = monitor, newRivals(s, o) // which ignores the goroutines of the monitor
	collectEvery(o.minute(), reader)
	return t, nil
}

// finish waits for the end of the time, and returns what was seen.
func (t *trial) finish() (any, error) {
	t.others.start()
	watch.For(t.Duration)
	seen := t.seen
	for _, f := range t.monitor.Findings() {
		seen.Open = append(seen.Open, watch.From(&f))
	}
	if err := t.monitor.Shutdown(context.Background()); err != nil {
		return nil, err
	}
	seen.Events, seen.Ends = t.told.Findings(), t.told.Ends()
	seen.Standing = standing(dump(), t.scenario)
	seen.Alarms = t.others.finish()
	seen.Served, seen.Faults, seen.FirstFault = t.env.Told()
	seen.Standstill, seen.Passed = t.env.Standstill(), t.env.Passed()
	seen.Thinned = slices.DeleteFunc(thinned(t.scenario, t.witness.series, t.Scale, t.told.Began, max(seen.FirstFault, seen.Standstill)),
		func(e falseEnd) bool { return seen.passed(e.At) })
	return seen, nil
}

// end answers and ends the process, when the main goroutine cannot.
func end(answer any, err error) {
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(answer)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// beOutside is what is outside of a program, until that ends.
func beOutside(o *corpus.Outside) error {
	address, err := o.Start()
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(address)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, os.Stdin)
	}
	return err
}

// spawned are the standard inputs of processes, which end with them.
var spawned []io.Closer

// spawn starts what is outside of a program as a process that ends with this
// one, and returns the address of its dependency. No goroutine stays.
func spawn(o corpus.Outside) (address string, err error) {
	cmd, err := lab.Command(context.Background(), "", order{Outside: &o})
	if err != nil {
		return "", err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", err
	}
	spawned = append(spawned, in)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", err
	}
	defer out.Close()
	err = json.NewDecoder(out).Decode(&address)
	return address, err
}

// collectEvery has the metrics collected again and again, as by an exporter.
func collectEvery(d time.Duration, reader sdkmetric.Reader) {
	time.AfterFunc(d, func() {
		if err := reader.Collect(context.Background(), &metricdata.ResourceMetrics{}); err != nil {
			otel.Handle(err)
		}
		collectEvery(d, reader)
	})
}

// A witness is a detector that finds nothing: it keeps what the detectors were
// shown of a fault, and writes down how many goroutines of the fault there were.
type witness struct {
	seen     *observation
	scenario *corpus.Scenario
	every    time.Duration
	noted    time.Time
	series   []*goroutine.Snapshot
}

func (w *witness) run(p *detectors.Pass) error {
	if !w.scenario.Faulty {
		return nil
	}
	w.series = append(w.series, p.Snapshot)
	if now := p.Snapshot.Time; now.Sub(w.noted) >= w.every {
		w.noted = now
		w.seen.Course = append(w.seen.Course, count(p.Snapshot, w.scenario))
	}
	return nil
}

// count returns how many goroutines of a snapshot are within an expected
// function.
func count(s *goroutine.Snapshot, of *corpus.Scenario) (n int) {
	for i := range s.Groups {
		g := &s.Groups[i]
		if slices.ContainsFunc(g.Stack.Frames, func(f goroutine.Frame) bool { return expected(of, f.Function) }) {
			n += g.Count
		}
	}
	return n
}

// expected reports whether function is one at which the fault is to be found.
func expected(s *corpus.Scenario, function string) bool {
	return slices.ContainsFunc(s.Expect, func(x corpus.Expectation) bool { return x.Matches(function) })
}
