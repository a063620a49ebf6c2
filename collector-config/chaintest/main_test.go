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
	p, err := rig.StartExample(rig.ExampleConfig{
		Program: build(t).example, OTLP: col.OTLP, Instance: instance, Args: args, Out: io.Discard})
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, p) })
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
