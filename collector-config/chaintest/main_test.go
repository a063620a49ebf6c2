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

// folder has the files that are tested.
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

// programs are what has been built for the tests.
type programs struct{ collector, example string }

var built = sync.OnceValues(func() (p programs, err error) {
	ctx := context.Background() // bounded by the time that go test gives
	if p.collector, err = rig.BuildCollector(ctx, folder); err == nil {
		p.example, err = rig.BuildExample(ctx, folder)
	}
	return p, err
})

// build builds the Collector and the example, once for all tests.
func build(t *testing.T) programs {
	t.Helper()
	p, err := built()
	require.NoError(t, err)
	return p
}

// patience is how long to wait for what happens within seconds on an idle
// machine. It bounds failing tests only.
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

// startCollector starts a Collector for the time of the test.
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

// stop ends a program, and shows what it printed when the test has failed.
func stop(t *testing.T, p *rig.Process) {
	p.Stop()
	if t.Failed() && testing.Verbose() {
		t.Log(p.Name(), "printed:\n"+lastLines(p.Output()))
	}
}

func lastLines(s string) string { return s[max(0, len(s)-4000):] }

// series waits until a query gives something, and returns that.
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
