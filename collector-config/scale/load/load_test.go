// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/parse"
)

// serviceVariable makes the test binary one of the processes to record.
const serviceVariable = "SCALE_LOAD_SERVICE"

func TestMain(m *testing.M) {
	if seed, ok := os.LookupEnv(serviceVariable); ok {
		os.Exit(beService(seed))
	}
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")) // idle connections of http.DefaultClient
}

func beService(seed string) int {
	n, err := strconv.ParseUint(seed, 10, 64)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { _, _ = io.Copy(io.Discard, os.Stdin); cancel() }()
	if err != nil || RunService(ctx, n, func(address string) { os.Stdout.WriteString(address + "\n") }) != nil {
		return 1
	}
	return 0
}

// recorded is a recording of two processes, for all tests.
var recorded = sync.OnceValues(func() ([]Recording, error) {
	return Recorder{
		Service: func(ctx context.Context, seed int) *exec.Cmd {
			cmd := exec.CommandContext(ctx, os.Args[0])
			cmd.Env = append(os.Environ(), serviceVariable+"="+strconv.Itoa(seed))
			return cmd
		},
		Processes: 2, Moments: 4, Gap: 20 * time.Millisecond,
	}.Record(context.Background())
})

func recordings(t *testing.T) []Recording {
	t.Helper()
	all, err := recorded()
	require.NoError(t, err)
	return all
}

func TestARecordingIsOfARealProcess(t *testing.T) {
	all := recordings(t)
	require.Len(t, all, 2)
	var totals []int
	for _, r := range all {
		require.Len(t, r.Traces, 4)
		require.Len(t, r.Profiles, 4)
		s, err := parse.NewTraceDecoder(nil, nil).Decode(r.Traces[3], time.Now())
		require.NoError(t, err)
		assert.GreaterOrEqual(t, len(s.Groups), Stacks)
		assert.True(t, s.HasIDs())
		profile, err := parse.Profile(r.Profiles[3], time.Time{}, parse.NewStacks(), parse.Labels{})
		require.NoError(t, err)
		assert.GreaterOrEqual(t, len(profile.Groups), Stacks)
		totals = append(totals, s.Total)
	}
	assert.NotEqual(t, totals[0], totals[1], "services with different seeds differ")
}

func TestARecorderTellsWhichProcessFailed(t *testing.T) {
	_, err := Recorder{Service: func(ctx context.Context, _ int) *exec.Cmd { return exec.CommandContext(ctx, "/does/not/exist") }, Processes: 1, Moments: 1}.Record(t.Context())
	assert.ErrorContains(t, err, "recording process 1 of 1: ")
}

func page(t *testing.T, address, name string) (status int, body []byte) {
	t.Helper()
	response, err := http.Get("http://" + address + "/debug/pprof/" + name)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err = io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, body
}

func TestTargetsAnswerFromRecordings(t *testing.T) {
	all := recordings(t)
	targets, err := ServeTargets(4, all, 2)
	require.NoError(t, err)
	addresses := targets.Addresses()
	require.Len(t, addresses, 4)
	for i, want := range [][]byte{all[0].Traces[0], all[1].Traces[0], all[0].Traces[1], all[1].Traces[1]} {
		status, body := page(t, addresses[i], "trace?seconds=0.001")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, want, body, "target %d", i)
	}
	_, body := page(t, addresses[0], "goroutine")
	assert.Equal(t, all[0].Profiles[1], body, "one moment later")
	for range 2 {
		_, _ = page(t, addresses[0], "trace")
	}
	status, _ := page(t, addresses[0], "trace")
	assert.Equal(t, http.StatusNotFound, status, "the recording is over")
	status, _ = page(t, addresses[0], "heap")
	assert.Equal(t, http.StatusNotFound, status)

	got := targets.Answers(time.Hour)
	assert.Positive(t, got.Longest)
	got.Longest = 0
	assert.Equal(t, Answers{Traces: 6, Profiles: 1, Other: 1, Ended: 1}, got)
	assert.Equal(t, 4, targets.Answers(0).Late)
	assert.Greater(t, targets.Wire.Written(), int64(len(all[0].Traces[0])))
	assert.Positive(t, targets.Wire.Read())
	targets.Reset()
	assert.Zero(t, targets.Answers(time.Hour).Traces)
	require.NoError(t, targets.Close())
}

func TestATargetThatWasNeverAskedIsSilent(t *testing.T) {
	targets, err := ServeTargets(3, recordings(t), 0)
	require.NoError(t, err)
	assert.Equal(t, Answers{Silent: 3}, targets.Answers(0))
	require.NoError(t, targets.Close())
}

// A gateway records what it gets, and may refuse it.
type gateway struct {
	mu        sync.Mutex
	instances map[string]int // exports of metrics, by service.instance.id
	stacks    map[string]bool
	events    []int // length of the stack of each
	changed   chan struct{}
}

func (g *gateway) Metrics(_ context.Context, m pmetric.Metrics) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	id, _ := m.ResourceMetrics().At(0).Resource().Attributes().Get("service.instance.id")
	g.instances[id.AsString()]++
	for _, metric := range otlptest.Metrics(m) {
		if metric.Name() != "goroutine.stack.goroutine.count" {
			continue
		}
		for _, p := range otlptest.Points(metric) {
			g.stacks[p.Attribute("goroutine.stack.id")] = true
		}
	}
	select {
	case g.changed <- struct{}{}:
	default:
	}
	return nil
}

func (g *gateway) Logs(_ context.Context, l plog.Logs) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range otlptest.Records(l) {
		g.events = append(g.events, len(otlptest.Attribute(r.Attributes(), "code.stacktrace")))
	}
	return nil
}

func TestReplicasSendWhatTheLibrarySends(t *testing.T) {
	g := &gateway{instances: make(map[string]int), stacks: make(map[string]bool), changed: make(chan struct{}, 1)}
	server, err := otlptest.Start(g)
	require.NoError(t, err)
	films, err := Films(recordings(t), 15*time.Second)
	require.NoError(t, err)
	replicas, err := StartReplicas(t.Context(), ReplicasConfig{
		Endpoint: server.Addr(), Replicas: 3, Services: 2, Stacks: Stacks, Interval: 50 * time.Millisecond, Films: films,
	})
	require.NoError(t, err)
	for all := false; !all; {
		<-g.changed
		g.mu.Lock()
		all = len(g.instances) == 3
		for _, n := range g.instances {
			all = all && n > 1
		}
		g.mu.Unlock()
	}
	require.NoError(t, replicas.Storm(t.Context(), 2))
	sent := replicas.Sent()
	assert.GreaterOrEqual(t, sent.Exports, int64(3))
	assert.Zero(t, sent.Failed)
	assert.Greater(t, sent.Points, 20*sent.Exports)
	assert.Equal(t, int64(6), sent.Events)
	assert.Zero(t, sent.Lost)
	require.NoError(t, replicas.Close())
	require.NoError(t, server.Stop())

	assert.Greater(t, len(g.stacks), Stacks, "with _OTHER and those that left the top")
	require.Len(t, g.events, 6)
	for _, length := range g.events {
		assert.InDelta(t, stackBytes, length, 256)
	}
	assert.Greater(t, sent.Bytes, int64(6*stackBytes))
}

func TestReplicasTellWhatFails(t *testing.T) {
	films, err := Films(recordings(t), 15*time.Second)
	require.NoError(t, err)
	server, err := otlptest.Start()
	require.NoError(t, err)
	address := server.Addr()
	require.NoError(t, server.Stop())
	replicas, err := StartReplicas(t.Context(), ReplicasConfig{Endpoint: address, Replicas: 1, Stacks: 1, Interval: time.Hour, Films: films})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	assert.Error(t, replicas.Storm(ctx, 1), "nothing listens there")
	require.NoError(t, replicas.Close())
}

func TestFindingsHaveStacksOfTheirOwn(t *testing.T) {
	all := findings(7, 3, time.Now())
	ids := make(map[goroutine.StackID]bool)
	for _, f := range all {
		ids[f.Stack.ID] = true
		assert.Regexp(t, `^[0-9a-f]{16}$`, f.ID)
	}
	assert.Len(t, ids, 3)
	assert.Equal(t, all[0].Stack.ID, findings(8, 1, time.Now())[0].Stack.ID, "as on other replicas")
}
