// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// A bench is a patient and the Collector that it exports to. The Collector
// always has the same address.
type bench struct {
	*patient
	col    *rig.Collector
	config rig.CollectorConfig
	events *store
}

func newBench(t *testing.T, files ...string) *bench {
	t.Helper()
	b := &bench{events: newStore(t)}
	b.config = rig.CollectorConfig{Files: files, Dir: t.TempDir(), OTLP: rig.Free(), Scrape: rig.Free()}
	b.start(t)
	var err error
	b.patient, err = newPatient(t.Context(), patientConfig{OTLP: b.col.OTLP, Instance: "p1"})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, b.shutdown()) })
	return b
}

func (b *bench) start(t *testing.T, env ...string) {
	t.Helper()
	c := b.config
	c.Env = append(append(c.Env, b.events.env()), env...)
	b.col = startCollector(t, c)
}

// open returns an error unless the Collector's metrics show a finding at a
// function as open or, if open is false, as not open.
func (b *bench) open(t *testing.T, function string, open bool) func() error {
	return func() error {
		text, err := rig.Get(t.Context(), "http://"+b.col.Scrape+"/metrics")
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if strings.HasPrefix(line, "goroutine_finding_open{") && strings.Contains(line, function) &&
				strings.HasSuffix(line, " 1\n") == open {
				return nil
			}
		}
		return fmt.Errorf("%s is not there, open or not: %v", function, open)
	}
}

// found waits until the monitor itself has a finding at a function.
func (b *bench) found(t *testing.T, function string) {
	t.Helper()
	eventually(t, function, func() error {
		for _, f := range b.monitor.Findings() {
			if strings.Contains(f.Stack.Text(1<<20), function) {
				return nil
			}
		}
		return fmt.Errorf("no finding at %s", function)
	})
}

// jam creates a jam that lasts until the end of the test.
func (b *bench) jam(t *testing.T, way func(*sync.Mutex)) *jam {
	j := newJam(way, 20)
	t.Cleanup(j.clear)
	return j
}

// snapshots waits for n more snapshots, which shows that nothing blocks the
// monitor.
func (b *bench) snapshots(t *testing.T, n int) {
	t.Helper()
	for range n {
		last := b.monitor.Snapshot().Time
		eventually(t, "another snapshot", func() error {
			if !b.monitor.Snapshot().Time.After(last) {
				return fmt.Errorf("the last was taken at %v", last)
			}
			return nil
		})
	}
}

// maxGrowth is how many bytes the heap of the service may grow by during an
// outage. The SDK keeps at most 2,048 records, and the incidents allow far
// fewer.
const maxGrowth = 16 << 20

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// The Collector dies, is unreachable for ten minutes, comes back, refuses all
// data, and recovers. No other test runs in parallel with this one, because it
// measures the heap and its service is in this process.
func TestOutages(t *testing.T) {
	b := newBench(t, "otel-collector.yaml")
	a := b.jam(t, wayA)
	eventually(t, "metrics before", b.open(t, ".wayA", true))
	eventually(t, "an event before", b.events.have("goroutine.deadlock.detected", "p1"))
	before := heap()

	b.col.Kill()
	early := b.jam(t, wayB)
	b.snapshots(t, 10*60/15) // as many as in ten minutes at an interval of 15 s
	b.found(t, ".wayB")
	late := b.jam(t, wayC)
	b.found(t, ".wayC")
	assert.Less(t, heap()-before, int64(maxGrowth), "the memory is bounded while nothing is received")

	b.start(t)
	eventually(t, "the finding of before, in metrics", b.open(t, ".wayA", true))
	eventually(t, "one of the outage", b.open(t, ".wayB", true))
	eventually(t, "the last one", b.open(t, ".wayC", true))
	for _, function := range []string{".wayB", ".wayC"} {
		eventually(t, "the event that the queue held", b.reported(function))
	}

	b.refuse(t)
	refused := b.jam(t, wayD)
	b.found(t, ".wayD")
	eventually(t, "a refusal", func() error { return refusals(t, b.col) })
	b.snapshots(t, 10)
	assert.Less(t, heap()-before, int64(maxGrowth), "the memory is bounded while the Collector refuses")
	b.col.Stop()

	b.start(t)
	eventually(t, "what was found while it refused", b.open(t, ".wayD", true))
	for _, j := range []*jam{a, early, late, refused} {
		j.clear()
	}
	eventually(t, "the end in metrics", b.open(t, ".wayB", false))
	eventually(t, "the end as an event", b.events.have("goroutine.deadlock.resolved", "p1"))
}

// reported returns a check that the store has an event about a deadlock in
// a function.
func (b *bench) reported(function string) func() error {
	return func() error {
		b.events.mu.Lock()
		defer b.events.mu.Unlock()
		for _, e := range b.events.events {
			if trace, _ := e.attribute("code.stacktrace").(string); e.name == "goroutine.deadlock.detected" && strings.Contains(trace, function) {
				return nil
			}
		}
		return fmt.Errorf("no deadlock at %s was reported", function)
	}
}

// refuse replaces the running Collector with one whose memory limit is lower
// than what it needs for itself.
func (b *bench) refuse(t *testing.T) {
	b.col.Stop()
	b.start(t, "MEMORY_LIMIT_MIB=20", "MEMORY_SPIKE_MIB=19")
}

func refusals(t *testing.T, col *rig.Collector) error {
	text, err := rig.Get(t.Context(), "http://"+col.Own+"/metrics")
	if err != nil {
		return err
	}
	for _, what := range []string{"metric_points", "log_records"} {
		refused := false
		for line := range strings.Lines(string(text)) {
			refused = refused || strings.HasPrefix(line, "otelcol_receiver_refused_"+what+"{") && !strings.HasSuffix(line, " 0\n")
		}
		if !refused {
			return fmt.Errorf("no %s were refused", what)
		}
	}
	return nil
}

// A fleet has services, an agent on their host, and a gateway that writes to
// Prometheus. The gateway is killed, and the agent is restarted before the
// gateway is back.
func TestFleet(t *testing.T) {
	t.Parallel()
	prom := startPrometheus(t, rig.PrometheusConfig{Hurry: hurry, RemoteWrite: true})
	events := newStore(t)
	gateway := rig.CollectorConfig{
		Files: []string{"otel-collector.yaml", "gateway.yaml", "remote-write.yaml"},
		OTLP:  rig.Free(),
		Env:   []string{events.env(), "REMOTE_WRITE_ENDPOINT=http://" + prom.Addr + "/api/v1/write", "OLD=2"},
	}
	tier := startCollector(t, gateway)
	host, port, _ := strings.Cut(tier.OTLP, ":")
	agent := rig.CollectorConfig{
		Files: []string{"agent.yaml"}, OTLP: rig.Free(), Dir: t.TempDir(),
		Env: []string{"GATEWAY_HOST=" + host, "GATEWAY_PORT=" + port, "RETRY_INITIAL=100ms", "RETRY_MAX=500ms"},
	}
	onHost := startCollector(t, agent)
	f1 := startReplica(t, patientConfig{OTLP: onHost.OTLP, Instance: "f1", Jam: true})
	anonymous := startReplica(t, patientConfig{OTLP: onHost.OTLP, Jam: true}) // has no service.instance.id

	hostname, err := os.Hostname()
	require.NoError(t, err)
	for _, instance := range []string{"f1", hostname} {
		fires(t, prom, "GoroutineDeadlock", instance, fnName("wayA"))
		eventually(t, "the event of "+instance, events.have("goroutine.deadlock.detected", instance))
		got := series(t, prom, `target_info{instance="`+instance+`"}`)
		assert.Equal(t, hostname, got[0].Labels["host_name"], "from resource detection")
	}
	assertGuarded(t, prom)
	const counted = `goroutine_event_count_total{event_name="goroutine.deadlock.detected", instance="f1"}`
	series(t, prom, counted)

	tier.Kill()
	f1.cure(t)
	anonymous.cure(t)
	eventually(t, "the end of the jam", func() error { return queued(t, onHost) })
	onHost.Stop()
	startCollector(t, agent)
	startCollector(t, gateway)
	eventually(t, "what was on disk", events.have("goroutine.deadlock.resolved", "f1"))
	eventually(t, "the end of the alert", func() error { return gone(alerts(t, prom, "GoroutineDeadlock"), "f1") })
	series(t, prom, counted)
}

// fnName returns the name of a function of this package as it appears in
// stacks.
func fnName(name string) string {
	return "github.com/otelgoroutine/go/collector-config/chaintest." + name
}

// assertGuarded checks what gateway.yaml says about its guard: small stacks are
// counted together, large ones are not, and the totals agree.
func assertGuarded(t *testing.T, p *rig.Prometheus) {
	t.Helper()
	small, err := p.Query(t.Context(), `goroutine_stack_goroutine_count{instance="f1", goroutine_stack_id!="_OTHER"} < 10`)
	require.NoError(t, err)
	assert.Empty(t, small)
	series(t, p, `goroutine_stack_goroutine_count{instance="f1", goroutine_stack_id!="_OTHER"} >= 10`)
	series(t, p, `sum(goroutine_stack_goroutine_count{instance="f1"}) == sum(goroutine_count{instance="f1"})`)
	young, err := p.Query(t.Context(), `goroutine_stack_age_seconds{instance="f1"} < 2`)
	require.NoError(t, err)
	assert.Empty(t, young)
}

// queued returns an error unless the agent's queue holds logs.
func queued(t *testing.T, col *rig.Collector) error {
	text, err := rig.Get(t.Context(), "http://"+col.Own+"/metrics")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "otelcol_exporter_queue_size{") && strings.Contains(line, `"logs"`) && !strings.HasSuffix(line, " 0\n") {
			return nil
		}
	}
	return fmt.Errorf("nothing in the queue")
}
