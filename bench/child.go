package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// scenarioVariable makes this program measure one scenario, which it holds as
// JSON, and write the result to its standard output.
const scenarioVariable = "OTELGOROUTINE_BENCH_SCENARIO"

// childTime is the longest that one scenario may take.
const childTime = 15 * time.Minute

// inChild measures a scenario in a process of its own, which begins as clean
// as the one before it.
func inChild(ctx context.Context, s scenario, stderr io.Writer) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, childTime)
	defer cancel()
	program, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return result{}, err
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), scenarioVariable+"="+string(text))
	cmd.Stdout, cmd.Stderr = &out, stderr
	if err := cmd.Run(); err != nil {
		return result{}, err
	}
	var r result
	return r, json.Unmarshal(out.Bytes(), &r)
}

// child is the process of one scenario. It returns the exit status.
func child(text string, stdout, stderr io.Writer) int {
	var s scenario
	err := json.Unmarshal([]byte(text), &s)
	var r result
	if err == nil {
		r, err = measureScenario(s)
	}
	if err == nil {
		err = json.NewEncoder(stdout).Encode(r)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%v\n", err)
		return 1
	}
	return 0
}

// measureScenario lets the methods take turns, so that what else the machine
// does meets all of them.
func measureScenario(s scenario) (result, error) {
	shape, err := shapeOf(s.Shape)
	if err != nil {
		return result{}, err
	}
	people, err := populate(shape, s.Size)
	if err != nil {
		return result{}, err
	}
	defer runtime.KeepAlive(people) // what they wait for can be reached: they are not leaked
	methods, err := methodsFor(s)
	if err != nil {
		return result{}, err
	}
	r := result{scenario: s, Doc: shape.doc, Note: people.note, Methods: make([]measured, len(methods))}
	m := newMeter(s.Large)
	if err := warmUp(methods, r.Methods); err != nil {
		return result{}, err
	}
	for round := range s.Rounds {
		if err := m.round(round, methods, r.Methods); err != nil {
			return result{}, err
		}
	}
	if !s.Reading {
		r.TraceBytes, err = traceSize()
	}
	return r, err
}

func warmUp(methods []method, into []measured) error {
	for i := range methods {
		into[i].Name, into[i].LeftOut = methods[i].name, methods[i].leftOut
		if methods[i].warm == nil {
			continue
		}
		if err := methods[i].warm(); err != nil {
			return fmt.Errorf("%s: %w", methods[i].name, err)
		}
	}
	return nil
}

// round lets every method look once.
func (m *meter) round(n int, methods []method, into []measured) error {
	for i, method := range methods {
		if method.leftOut != "" || method.rounds > 0 && n >= method.rounds {
			continue
		}
		s, err := m.turn(method)
		if err != nil {
			return fmt.Errorf("%s: %w", method.name, err)
		}
		into[i].Samples = append(into[i].Samples, s)
	}
	return nil
}

func (m *meter) turn(method method) (sample, error) {
	if method.before != nil {
		if err := method.before(); err != nil {
			return sample{}, err
		}
	}
	s, err := m.measure(method.look, method.collects)
	return s.mean(max(method.times, 1)), err
}

// traceSize returns how long a trace of this process is.
func traceSize() (int64, error) {
	var n counter
	err := lab.Record(&n)
	return int64(n), err
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
