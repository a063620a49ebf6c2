// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"
	"go.opentelemetry.io/collector/receiver/xreceiver"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/metadata"
	"github.com/otelgoroutine/go/internal/otlptest"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// A harness runs a receiver with consumers that record, or refuse.
type harness struct {
	otlptest.Recorder
	logged  *observer.ObservedLogs
	metrics *componenttest.Telemetry
	all     []component.Component

	profiles profileSink

	mu     sync.Mutex
	refuse error // what consumers answer; nil: they accept
	status []componentstatus.Status
}

func (h *harness) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (h *harness) answer(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.refuse = err
}

func (h *harness) refusal() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.refuse
}

func (h *harness) ConsumeMetrics(ctx context.Context, m pmetric.Metrics) error {
	if err := h.refusal(); err != nil {
		return err
	}
	return h.Metrics(ctx, m)
}

func (h *harness) ConsumeLogs(ctx context.Context, l plog.Logs) error {
	if err := h.refusal(); err != nil {
		return err
	}
	return h.Logs(ctx, l)
}

func (h *harness) GetExtensions() map[component.ID]component.Component { return nil }

func (h *harness) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = append(h.status, e.Status())
}

func (h *harness) statuses() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Compact(slices.Clone(h.status)) // each signal has a host, which is this one
}

func (h *harness) settings() receiver.Settings {
	set := receivertest.NewNopSettings(metadata.Type)
	core, logged := observer.New(zap.DebugLevel)
	h.logged, h.metrics = logged, componenttest.NewTelemetry()
	set.TelemetrySettings = h.metrics.NewTelemetrySettings()
	set.Logger = zap.New(core)
	return set
}

// values are a configuration as in a file.
type values = map[string]any

// begin runs a receiver with all signals, for which everything happens fast.
func begin(t *testing.T, more values) *harness {
	t.Helper()
	h := new(harness)
	h.begin(t, more)
	return h
}

func (h *harness) begin(t *testing.T, more values) {
	t.Helper()
	all := values{"collection_interval": "100ms", "initial_delay": "0s", "time_scale": 0.01}
	for key, value := range more {
		all[key] = value
	}
	f := NewFactory()
	c := f.CreateDefaultConfig()
	require.NoError(t, confmap.NewFromStringMap(all).Unmarshal(c))
	require.NoError(t, confmap.Validate(c))
	set := h.settings()
	metrics, err := f.CreateMetrics(t.Context(), set, c, h)
	require.NoError(t, err)
	logs, err := f.CreateLogs(t.Context(), set, c, h)
	require.NoError(t, err)
	assert.Same(t, metrics, logs, "a target is asked once for all signals")
	profiles, err := f.(xreceiver.Factory).CreateProfiles(t.Context(), set, c, &h.profiles)
	require.NoError(t, err)
	assert.Same(t, metrics, profiles)
	h.all = []component.Component{metrics, logs, profiles}
	t.Cleanup(func() { h.shutdown(t) })
	for _, one := range h.all {
		require.NoError(t, one.Start(t.Context(), h))
	}
}

func (h *harness) receiver() *goroutineReceiver { return h.all[0].(*shared).receiver }

func (h *harness) shutdown(t *testing.T) {
	t.Helper()
	if h.all == nil {
		return
	}
	for _, one := range h.all {
		require.NoError(t, one.Shutdown(context.WithoutCancel(t.Context())))
	}
	require.NoError(t, h.metrics.Shutdown(context.WithoutCancel(t.Context())))
	h.all = nil
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	require.Eventually(t, is, patient, 20*time.Millisecond, what)
}

// told reports whether the log has a message with this text in a field.
func (h *harness) told(message, field string) bool {
	for _, e := range h.logged.FilterMessage(message).All() {
		if strings.Contains(fmt.Sprint(e.ContextMap()), field) {
			return true
		}
	}
	return false
}

// resources returns the resources of the metrics with a name, oldest first.
func (h *harness) resources() (all []map[string]any) {
	received, _ := h.Received()
	for _, m := range received {
		for r := range otlptest.Metrics(m) {
			all = append(all, r.Attributes().AsRaw())
			break
		}
	}
	return all
}

// sum returns the sum of a metric in the newest data of a service.
func (h *harness) sum(service, name string) (sum float64, known bool) {
	received, _ := h.Received()
	for _, all := range slices.Backward(received) {
		for r, m := range otlptest.Metrics(all) {
			if m.Name() == name && attributeOf(r, "service.name") == service {
				known = true
				for _, p := range otlptest.Points(m) {
					sum += p.Value
				}
			}
		}
		if known {
			return sum, true
		}
	}
	return 0, false
}

func attributeOf(r pcommon.Resource, name string) string {
	return otlptest.Attribute(r.Attributes(), name)
}

func listedAs(endpoint, service string) values {
	return values{"endpoint": endpoint, "resource_attributes": values{"service.name": service}}
}

// The same as the library would send from inside, with the process as the resource.
func TestWhatIsSent(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := begin(t, values{"endpoint": "http://" + p.address, "resource_attributes": values{"team": "shop"}})
	eventually(t, "a deadlock is detected", func() bool { return len(h.Events("goroutine.deadlock.detected")) > 0 })
	eventually(t, "a select without cases is detected", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 0 })
	eventually(t, "it is in the metrics", func() bool { n, _ := h.sum("127.0.0.1", telemetry.MetricFindingOpen); return n >= 2 })
	names := h.MetricNames()
	for _, m := range telemetry.Metrics() {
		switch m.Name {
		case telemetry.MetricSchedulerCount, telemetry.MetricCreated:
			assert.NotContains(t, names, m.Name, "only the process itself can ask its scheduler")
		case telemetry.MetricSnapshotSkipped, telemetry.MetricProfileDropped: // if one is
		default:
			assert.Contains(t, names, m.Name)
		}
	}
	total, _ := h.sum("127.0.0.1", telemetry.MetricCount)
	assert.GreaterOrEqual(t, total, 11.0)
	host, port, _ := strings.Cut(p.address, ":")
	var number int64
	_, err := fmt.Sscan(port, &number)
	require.NoError(t, err)
	assert.Equal(t, map[string]any{
		"service.name": host, "service.instance.id": p.address, "server.address": host, "server.port": number,
		"url.scheme": "http", "telemetry.sdk.language": "go", "team": "shop",
	}, h.resources()[0])
	_, logs := h.Received()
	for r, record := range otlptest.Records(logs[0]) {
		assert.Equal(t, h.resources()[0], r.Attributes().AsRaw())
		assert.NotEmpty(t, otlptest.Attribute(record.Attributes(), telemetry.AttrCodeStacktrace))
		assert.NotZero(t, record.Timestamp())
	}
	assert.True(t, h.told("target is observed", "goroutines:"))
	received, _ := h.Received()
	scope := received[0].ResourceMetrics().At(0).ScopeMetrics().At(0)
	assert.Equal(t, telemetry.ScopeName, scope.Scope().Name())
	assert.Equal(t, telemetry.SchemaURL, scope.SchemaUrl())
}

// A stack that the list excludes is no finding.
func TestKnownStacks(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := begin(t, values{"endpoint": p.address, "known_stacks": "testdata/known.json"})
	eventually(t, "a deadlock is detected", func() bool { return len(h.Events("goroutine.deadlock.detected")) > 0 })
	assert.Empty(t, h.Events("goroutine.blocked_forever.detected"))
}

// A process that restarts is observed from the beginning; its findings end.
func TestRestart(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := begin(t, values{"targets": []any{listedAs(p.address, "shop")}})
	eventually(t, "a finding", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 0 })
	p.end()
	// The reason may be that a request was cut short, and is told once.
	eventually(t, "its absence is told", func() bool { return h.told("target cannot be observed", p.address) })
	eventually(t, "it has no goroutines", func() bool { n, ok := h.sum("shop", telemetry.MetricCount); return ok && n == 0 })
	eventually(t, "the status tells", func() bool {
		return slices.Equal(h.statuses(), []componentstatus.Status{componentstatus.StatusRecoverableError})
	})
	assert.Empty(t, h.Events("goroutine.blocked_forever.resolved"), "nothing is known of it")
	startProcess(t, p.address)
	eventually(t, "its return is told", func() bool { return h.told("target can be reached again", "goroutines") })
	eventually(t, "its restart is told", func() bool {
		return h.told("target was restarted; it is observed from the beginning again", "restarts:1")
	})
	eventually(t, "its findings ended", func() bool { return len(h.Events("goroutine.blocked_forever.resolved")) > 0 })
	eventually(t, "and are found again", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 1 })
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusOK}, h.statuses())
}

func TestNothingListens(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	p.end()
	h := begin(t, values{"targets": []any{listedAs(p.address, "shop")}})
	eventually(t, "the reason is told", func() bool {
		return h.told("target cannot be observed", "connection refused: nothing listens on that port")
	})
}

// Targets that fail are told, each with what to do, and harm no other.
func TestFailuresHarmNoOther(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	login := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", "Bearer")
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer login.Close()
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	secure.StartTLS()
	defer secure.Close()
	old := httptest.NewServer(oldGo())
	defer old.Close()
	var hangs atomic.Bool
	hanging := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !hangs.Load() {
			http.NotFound(w, r)
			return
		}
		<-r.Context().Done()
	}))
	defer hanging.Close()
	targets := []any{
		listedAs(p.address, "sound"), listedAs(login.URL, "login"), listedAs(none.URL, "none"), listedAs(secure.URL, "secure"), listedAs(old.URL, "old"),
	}
	for i := range 4 {
		targets = append(targets, values{"endpoint": fmt.Sprint(hanging.URL, "/", i)})
	}
	h := begin(t, values{"targets": targets, "max_concurrent": 4, "timeout": "5m"})
	eventually(t, "all are known", func() bool { counts, _ := h.receiver().count(); return counts == [4]int64{0, 2, 0, 7} })
	hangs.Store(true)
	_, _, before := h.latest(p.address)
	eventually(t, "the sound one goes on", func() bool { _, _, n := h.latest(p.address); return n > before+20 })
	assert.False(t, h.told("target cannot be observed", p.address))
	h.shutdown(t)

	h = begin(t, values{"targets": targets[:5], "timeout": "10s"})
	for address, why := range map[string]string{
		login.URL:  "it asks for Bearer authentication; see auth and headers",
		none.URL:   "net/http/pprof is not served there",
		secure.URL: "the server certificate is not trusted (tls: ca_file, server_name_override, insecure_skip_verify)",
	} {
		eventually(t, why, func() bool { return h.told("target cannot be observed", why) })
		assert.True(t, h.told("target cannot be observed", address))
	}
	eventually(t, "an old version of Go", func() bool {
		return h.told("target is observed", "its traces have the format of go 1.22; it must be go 1.23 or newer") ||
			h.told("target is observed", "its traces have the format of go 1.22")
	})
	assert.True(t, h.told("target is observed", "page: dump has IDs, but stops the process"))
	assert.True(t, h.told("target is observed", "cannot_judge"))
	assert.Empty(t, h.statuses(), "some can be observed")
	eventually(t, "each is known", func() bool { counts, _ := h.receiver().count(); return counts == [4]int64{0, 2, 0, 3} })
	each := h.logged.FilterMessage("target cannot be observed").Len()
	assert.Equal(t, 3, each, "each is told once")
}

// oldGo serves what a process of Go 1.22 serves: traces of an old format, and profiles.
func oldGo() http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/trace") {
			fmt.Fprint(w, "go 1.22 trace\x00\x00\x00rest")
			return
		}
		pprof.Handler("goroutine").ServeHTTP(w, r)
	}
}

// A slow consumer, or one that hangs, holds up its own target only, and not the end.
func TestShutdownWithTargetsThatHang(t *testing.T) {
	var asked atomic.Int64
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-r.Context().Done()
	}))
	defer hanging.Close()
	h := begin(t, values{"endpoint": hanging.URL, "timeout": "5m"})
	eventually(t, "it is asked", func() bool { return asked.Load() > 0 })
	h.shutdown(t) // goleak checks that nothing is left
}

// What is refused is counted. Events wait until they are accepted.
func TestRefusals(t *testing.T) {
	p := startProcess(t, "127.0.0.1:0")
	h := new(harness)
	h.answer(errors.New("the queue is full"))
	h.begin(t, values{"targets": []any{listedAs(p.address, "shop")}})
	eventually(t, "it is told", func() bool { return h.told("data of target is not accepted", "the queue is full") })
	eventually(t, "events wait", func() bool {
		for _, r := range h.receiver().targets {
			r.pipeline.events.mu.Lock()
			n := len(r.pipeline.events.kept)
			r.pipeline.events.mu.Unlock()
			return n > 0
		}
		return false
	})
	h.answer(nil)
	eventually(t, "they come", func() bool { return len(h.Events("goroutine.blocked_forever.detected")) > 0 })
	eventually(t, "it is told", func() bool { return h.logged.FilterMessage("data of target is accepted again").Len() > 0 })
	assert.Equal(t, 1, h.logged.FilterMessage("data of target is not accepted").Len(), "once")
	refused, err := h.metrics.GetMetric("otelcol_receiver_refused_metric_points")
	require.NoError(t, err)
	assert.NotEmpty(t, refused.Name)
	_, err = h.metrics.GetMetric("otelcol_goroutine_receiver_events_dropped")
	require.Error(t, err, "none is lost")

	h = new(harness)
	h.answer(consumererror.NewPermanent(errors.New("too large")))
	h.begin(t, values{"targets": []any{listedAs(p.address, "shop")}})
	eventually(t, "events that are refused for good are counted", func() bool {
		_, err := h.metrics.GetMetric("otelcol_goroutine_receiver_events_dropped")
		return err == nil
	})
}
