// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
	"github.com/otelgoroutine/go/internal/realprograms"
)

// folder contains the files under test.
const folder = ".."

func TestMain(m *testing.M) {
	switch {
	case isPatient():
		os.Exit(runPatient())
	case !realprograms.Wanted():
		os.Exit(realprograms.Skip(m, "a Collector, which they build, and Prometheus"))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")) // idle connections of http.DefaultClient
}

// programs holds the paths of the programs built for the tests.
type programs struct{ collector, example string }

var built = sync.OnceValues(func() (p programs, err error) {
	ctx := context.Background() // limited by the timeout of go test
	if p.collector, err = rig.BuildCollector(ctx, folder); err == nil {
		p.example, err = rig.BuildExample(ctx, folder)
	}
	return p, err
})

// today builds a Prometheus of today, and its promtool, for the tests that need
// them.
var today = sync.OnceValues(func() (p struct{ prometheus, promtool string }, err error) {
	p.prometheus, p.promtool, err = rig.BuildPrometheus(context.Background(), folder)
	return p, err
})

// build builds the Collector and the example once for all tests.
func build(t *testing.T) programs {
	t.Helper()
	p, err := built()
	require.NoError(t, err)
	return p
}

// patience is how long to wait for something that takes seconds on an idle
// machine. It limits only tests that fail.
const patience = 5 * time.Minute

// eventually waits until check returns nil.
func eventually(t *testing.T, what string, check func() error) {
	t.Helper()
	deadline := time.After(patience)
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-deadline:
			require.NoError(t, err, "%s: not within %v", what, patience)
		}
	}
}

// startCollector starts a Collector that runs until the end of the test.
func startCollector(t *testing.T, c rig.CollectorConfig) *rig.Collector {
	t.Helper()
	c.Program, c.Folder = build(t).collector, folder
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	c.Out = io.Discard
	col, err := rig.StartCollector(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, col.Process) })
	return col
}

func startPrometheus(t *testing.T, c rig.PrometheusConfig) *rig.Prometheus {
	t.Helper()
	c.Folder, c.Dir, c.Out = folder, t.TempDir(), io.Discard
	p, err := rig.StartPrometheus(t.Context(), c)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, p.Process) })
	return p
}

func startExample(t *testing.T, col *rig.Collector, instance string, args ...string) {
	t.Helper()
	runExample(t, rig.ExampleConfig{OTLP: col.OTLP, Instance: instance, Resource: deployed("v1.8.1"), Args: args})
}

// deployed returns the resource attributes that become labels.
func deployed(version string) []string {
	return []string{"service.version=" + version, "k8s.cluster.name=c1", "k8s.namespace.name=shops", "deployment.environment.name=test", "team=orders"}
}

// runExample starts an example that runs until the end of the test, or until it is
// stopped.
func runExample(t *testing.T, c rig.ExampleConfig) *rig.Process {
	t.Helper()
	c.Program, c.Out = build(t).example, io.Discard
	c.Args = append(c.Args, "-http", "off")
	p, err := rig.StartExample(c)
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, p) })
	return p
}

// stop stops a program. If the test has failed, it shows what the program
// printed.
func stop(t *testing.T, p *rig.Process) {
	p.Stop()
	if t.Failed() && testing.Verbose() {
		t.Log(p.Name(), "printed:\n"+lastLines(p.Output()))
	}
}

func lastLines(s string) string { return s[max(0, len(s)-4000):] }

// series waits until a query returns series, and returns them.
func series(t *testing.T, p *rig.Prometheus, expr string) (got []rig.Series) {
	t.Helper()
	eventually(t, expr, func() (err error) {
		got, err = p.Query(t.Context(), expr)
		if err == nil && len(got) == 0 {
			err = errors.New("no series")
		}
		return err
	})
	return got
}
