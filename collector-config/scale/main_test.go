// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/collector-config/scale/load"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("internal/poll.runtime_pollWait")) // idle connections of http.DefaultClient
}

func TestFlags(t *testing.T) {
	o, err := parseOptions(nil, nil)
	require.NoError(t, err)
	assert.Equal(t, options{replicas: 1000, targets: 1000, stacks: 20, findings: 5, export: time.Minute,
		collection: 30 * time.Second, span: 5 * time.Minute, fleet: 100_000}, o)
	for args, want := range map[string]string{
		"-only sink":     `-only "sink": it must be gateway or receiver`,
		"-replicas 0":    "-replicas 0: it must be 1 to 20000",
		"-targets 20001": "-targets 20001: it must be 1 to 20000",
		"-findings 21":   "-findings 21: it must be 1 to 20",
		"-export 1ms":    "-export 1ms: it must be 1s to 1h0m0s",
		"-collection 2h": "-collection 2h0m0s: it must be 1s to 1h0m0s",
		"-for 0s":        "-for 0s: it must be 1s to 24h0m0s",
		"-fleet 0":       "-fleet 0: it must be 1 to 100000000",
		"gateway":        `unknown command "gateway"; it must be replicas or targets, or there must be only flags`,
		"service":        "service needs one argument, a seed",
		"service x":      `service "x": the seed must be a number`,
		"targets -n 0":   "-n 0 -moments 200: there must be 1 to 20000 targets and 1 to 2000 moments",
		"replicas -n 0":  "-replicas 0: it must be 1 to 20000",
		"-stacks 401":    "-stacks 401: it must be 1 to 400",
	} {
		var ignored bytes.Buffer
		assert.EqualError(t, run(t.Context(), strings.Fields(args), strings.NewReader(""), &ignored, &ignored), want, args)
	}
}

func TestAServiceEndsWithItsInput(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"service", "1"}, strings.NewReader(""), &out, &out))
	assert.Regexp(t, `^127\.0\.0\.1:\d+\n$`, out.String())
}

func TestTargetsAreWrittenForFileDiscovery(t *testing.T) {
	file := filepath.Join(t.TempDir(), "targets.json")
	require.NoError(t, writeTargets(file, nil))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "[]\n", string(text))

	addresses := make([]string, services+1)
	for i := range addresses {
		addresses[i] = "127.0.0.1:1"
	}
	addresses[0], addresses[services] = "127.0.0.1:2", "127.0.0.1:3"
	require.NoError(t, writeTargets(file, addresses))
	text, err = os.ReadFile(file)
	require.NoError(t, err)
	var groups []struct {
		Targets []string
		Labels  map[string]string
	}
	require.NoError(t, json.Unmarshal(text, &groups))
	require.Len(t, groups, services)
	assert.Equal(t, []string{"127.0.0.1:2", "127.0.0.1:3"}, groups[0].Targets)
	assert.Equal(t, map[string]string{"job": "shop-service-49"}, groups[49].Labels)
}

func TestAMeterMeasuresAProcess(t *testing.T) {
	m := &meter{processes: map[string]int{"me": os.Getpid()}}
	ballast := make([]byte, 0)
	used, err := m.during(func() error {
		cpu, _, err := read(os.Getpid())
		for now := cpu; err == nil && now < cpu+0.05; now, _, err = read(os.Getpid()) {
			ballast = append(ballast, make([]byte, 1<<10)...)
		}
		return err
	})
	require.NoError(t, err)
	assert.Positive(t, used["me"].Cores)
	assert.GreaterOrEqual(t, used["me"].Peak, used["me"].Last)
	assert.Positive(t, used["me"].Last)
	_, err = (&meter{processes: map[string]int{"it": 1 << 30}}).during(func() error { return nil })
	assert.ErrorContains(t, err, "measuring it: ")
}

const mib = 1 << 20

// measured is a gateway that uses 250 µs of CPU time and 512 KiB for each replica.
func measured() *gatewayResult {
	idle := map[string]usage{theCollector: {0, 100 * mib, 100 * mib}, thePrometheus: {0, 50 * mib, 50 * mib}, theLoad: {}}
	steady := map[string]usage{theCollector: {0.25, 400 * mib, 400 * mib}, thePrometheus: {0.1, 450 * mib, 450 * mib}, theLoad: {0.5, 300 * mib, 300 * mib}}
	storm := map[string]usage{theCollector: {0.5, 612 * mib, 400 * mib}, thePrometheus: {0.1, 450 * mib, 450 * mib}, theLoad: {}}
	return &gatewayResult{
		Replicas: 1000, Export: time.Minute, Span: 5 * time.Minute, Idle: idle, Steady: steady, Storm: storm, Findings: 5,
		Sent:    load.Sent{Exports: 5000, Points: 500_000, Bytes: 5000 * 20 << 10},
		Scraped: scraped{Samples: 90_000, Seconds: 0.8, Bytes: 2 * mib, Series: 91_000},
		Stormed: load.Sent{Events: 5000, Bytes: 110 * mib}, Took: 3210 * time.Millisecond, Stored: 5000, Counted: 5000,
	}
}

func TestANeedFollowsFromWhatWasMeasured(t *testing.T) {
	r := measured()
	each := r.share()
	assert.InDelta(t, 0.00025, each.Cores, 1e-9)
	assert.InDelta(t, 512*mib/1000.0, each.Memory, 1, "the storm needs more memory than the usual load")
	n := r.need(100_000)
	assert.Equal(t, 3800, n.PerMachine, "half of 4 GiB without the 100 MiB of the process itself is for 3,804; half of two cores would be for 4,000")
	assert.Equal(t, 28, n.Machines)
	assert.InDelta(t, 100_000*20<<10/60.0, n.In, 1)
	assert.InDelta(t, 9_000_000, n.Series, 1)
	assert.InDelta(t, 600_000, n.Samples, 1)
	assert.InDelta(t, 10, n.Cores, 1e-6)
	assert.InDelta(t, 400*mib*100, n.Memory, 1)
}

func TestCapacityHasBounds(t *testing.T) {
	assert.Equal(t, 1, capacity(share{Cores: 2}, usage{}), "one replica is too much")
	assert.Equal(t, 1, capacity(share{Memory: 1}, usage{Last: machineMemory}))
	assert.Equal(t, maxFleet, capacity(share{}, usage{}), "nothing was measured")
	assert.Equal(t, 7, capacity(share{Cores: 0.14}, usage{}))
	assert.Equal(t, 120, capacity(share{Cores: 0.0079}, usage{}))
}

func TestTheReport(t *testing.T) {
	r := results{gateway: measured(), now: time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC), machine: "a machine", receiver: &receiverResult{
		Targets: 1000, Collection: 30 * time.Second, Span: 5 * time.Minute,
		Idle: measured().Idle, Steady: measured().Steady, Scraped: measured().Scraped,
		Answers: load.Answers{Traces: 9990, Profiles: 10, Late: 1, Longest: 46 * time.Second}, Answered: 10_000 * 16 << 10,
	}}
	dir := t.TempDir()
	file := filepath.Join(dir, "scale.md")
	require.NoError(t, os.WriteFile(file, []byte("# Scale\n"+beginFigures+"old\n"+endFigures+"more\n"), 0o644))
	var out bytes.Buffer
	require.NoError(t, r.report(options{fleet: 100_000, write: file, args: "-for 5m"}, &out))
	for _, line := range []string{
		"27 November 2026, a machine, of\n\n    go run ./collector-config/scale -for 5m\n",
		"### One gateway, 1,000 replicas that export every 1m0s",
		"| the Collector, CPU | 0 cores | 0.25 cores | 0.50 cores |",
		"| the Collector, memory at most | 100 MiB | 400 MiB | 612 MiB |",
		"| bytes of an export on the wire, uncompressed | 20.0 KiB |",
		"| series of a replica that Prometheus scrapes | 90 |",
		"| events that failed at the SDKs, reached the log store, and were counted in Prometheus | 0, 5000, 5000 |",
		"### One Collector with the receiver, 1,000 targets every 30s",
		"| bytes of a snapshot on the wire, uncompressed | 16.0 KiB |",
		"| targets that were not asked for more than 45s; not at all | 1; 0 |",
		"### A fleet of 100,000 replicas",
		"| CPU of each replica | 0.25 ms/s | 0.25 ms/s |",
		"| Collectors, one to spare | 28 | 26 |",
		"| series | 9,000,000 | 9,000,000 |",
	} {
		assert.Contains(t, out.String(), line)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "# Scale\n"+beginFigures+"\n"+out.String()+"\n"+endFigures+"more\n", string(text))

	require.NoError(t, os.WriteFile(file, []byte("# Scale\n"), 0o644))
	assert.ErrorContains(t, r.report(options{fleet: 1, write: file}, &out), "it has not both")
}

func TestTheLogStoreCountsEvents(t *testing.T) {
	s, err := startStore()
	require.NoError(t, err)
	defer s.close()
	size, err := compressed(context.Background(), s.url()+"/")
	require.NoError(t, err)
	assert.Positive(t, size, "the text of a 404")
}
