// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/semaphore"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// stressTime is for how long a scenario that could go on for ever does so.
var stressTime = flag.Duration("stress.time", time.Second, "how long each scenario keeps up its stress")

// An order is what a child is to do.
type order struct {
	Scenario string
	Variant  string        // of the scenario
	Size     int           // goroutines, or rounds
	Time     time.Duration // how long to keep it up
	Endpoint string        // of an OTLP/gRPC receiver, as host:port
}

// scenarios are what a child can do. Each says in its comment what it proves.
var scenarios = map[string]func(*child){
	"churn":        churn,
	"deep":         deep,
	"distinct":     distinct,
	"exporters":    exporters,
	"gc":           gc,
	"hostile":      hostile,
	"lifecycle":    lifecycle,
	"meters first": metersFirst,
	"million":      million,
	"procs":        procs,
	"quit":         quit,
	"small memory": smallMemory,
}

// TestMain lets the test binary be the process of a scenario.
func TestMain(m *testing.M) {
	lab.Child(runScenario)
	os.Exit(m.Run())
}

// runScenario does what the order says and answers with a report. What goes
// wrong is a panic: it shows all goroutines.
func runScenario(o order) (any, error) {
	run, ok := scenarios[o.Scenario]
	if !ok {
		return nil, fmt.Errorf("no scenario is called %q", o.Scenario)
	}
	c := newChild(o)
	run(c)
	return c.finish(), nil
}

const (
	// lanes is how many scenarios run side by side. One that needs the whole
	// machine takes all of them.
	lanes = 2
	// patience is how long a child may take beyond the time of its stress. Then
	// it is made to write a dump of its goroutines, and ended.
	patience = 2 * time.Minute
	// keptOutput bounds what is shown of a child that failed.
	keptOutput = 256 << 10
)

var lane = semaphore.NewWeighted(lanes)

// A setting is how a child is run.
type setting struct {
	alone bool     // beside no other
	env   []string // of the runtime
}

// inChild runs a scenario in a process of its own, in its turn, and returns what
// it reports.
func inChild(t *testing.T, o order, s setting) report {
	t.Helper()
	weight := int64(1)
	if s.alone {
		weight = lanes
	}
	require.NoError(t, lane.Acquire(t.Context(), weight))
	defer lane.Release(weight)
	if o.Time == 0 {
		o.Time = *stressTime
	}
	ctx, cancel := context.WithTimeout(t.Context(), o.Time+patience)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd, err := lab.Command(ctx, "", o, s.env...)
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := stderr.Bytes()
		t.Fatalf("the child failed: %v\n%s", err, said[:min(len(said), keptOutput)])
	}
	var r report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &r), stdout.String())
	if stderr.Len() > 0 {
		t.Logf("the child said:\n%s", stderr.String())
	}
	return r
}

// size is n, or less where the race detector allows no more goroutines or the
// run is to be short.
func size(n, race, short int) int {
	switch {
	case testing.Short():
		return min(n, race, short)
	case raceEnabled:
		return min(n, race)
	}
	return n
}

// long leaves a scenario out of a short run.
func long(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes seconds")
	}
}

// some is all variants of a scenario, or the first in a short run.
func some[V any](variants ...V) []V {
	if testing.Short() {
		return variants[:1]
	}
	return variants
}
