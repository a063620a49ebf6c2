package otelgoroutine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// A Monitor observes the goroutines of this process until it is shut down.
// Make one with [Start]. Its methods are safe for concurrent use.
type Monitor struct {
	provider  metric.MeterProvider
	telemetry *telemetry.Telemetry
	interval  time.Duration
	budget    Budget
	observer  *observer // nil once the monitor's goroutine has ended

	latest atomic.Pointer[goroutine.Snapshot]
	open   atomic.Pointer[[]detectors.Finding] // after the last snapshot
	sight  *sight.Sight                        // what can be judged; see status.go
	feed   feed
	told   complaints

	stop     chan struct{} // closed by Shutdown
	stopOnce sync.Once
	done     chan struct{} // closed when the goroutine has ended
	closed   chan struct{} // closed when nothing is registered any more
	closeErr error         // set before closed is closed
}

func newMonitor(mp metric.MeterProvider, c config) (*Monitor, error) {
	seen := sight.New(c.interval, c.detectors, time.Now())
	t, err := telemetry.New(telemetry.Config{
		MeterProvider:  mp,
		LoggerProvider: c.loggerProvider,
		TopStacks:      c.topStacks,
		Scheduler:      capture.ReadScheduler,
		Age:            seen.Age,
	})
	if err != nil {
		return nil, fmt.Errorf("otelgoroutine: %w", err)
	}
	m := &Monitor{
		provider:  mp,
		telemetry: t,
		interval:  c.interval,
		budget:    c.budget,
		sight:     seen,
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
		closed:    make(chan struct{}),
	}
	m.tellDetectors()
	m.observer = newObserver(c, t, &m.told, m.stop)
	return m, nil
}

// Snapshot returns the latest snapshot, or nil before the first, which is taken
// right after Start. The snapshot is shared and must not be modified.
func (m *Monitor) Snapshot() *goroutine.Snapshot { return m.latest.Load() }

// Findings returns the findings that are open now, the longest open first.
func (m *Monitor) Findings() []detectors.Finding {
	if open := m.open.Load(); open != nil {
		return slices.Clone(*open)
	}
	return nil
}

// Interval returns the time between snapshots, as set with [WithInterval].
func (m *Monitor) Interval() time.Duration { return m.interval }

// Budget returns what snapshots may cost, as set with [WithBudget].
func (m *Monitor) Budget() Budget { return m.budget }

// Done returns a channel that is closed when [Monitor.Shutdown] is called.
func (m *Monitor) Done() <-chan struct{} { return m.stop }

// WriteReport writes the latest snapshot and the open findings as text for
// people. It captures nothing.
func (m *Monitor) WriteReport(w io.Writer) error {
	return report.New([]*goroutine.Snapshot{m.Snapshot()}, m.Findings(), report.Options{Terse: true, Sight: report.SightOf(m.Status().internal())}).Text(w)
}

// Shutdown stops the monitor: it unregisters every callback, stops the monitor's
// goroutine and waits for it to end. If ctx is done first, it returns an error
// that wraps the error of ctx. Events are passed to the logger provider as they
// occur; the caller shuts that down next. Further calls only wait.
//
// It must not be called from a metric callback.
func (m *Monitor) Shutdown(ctx context.Context) error {
	m.stopOnce.Do(func() {
		close(m.stop)
		go m.close()
	})
	select {
	case <-m.closed:
	case <-ctx.Done():
		return fmt.Errorf("otelgoroutine: Shutdown: a metric callback is still under way: %w", ctx.Err())
	}
	select {
	case <-m.done:
		return m.closeErr
	case <-ctx.Done():
		return fmt.Errorf("otelgoroutine: Shutdown: a snapshot or an event is still under way: %w", ctx.Err())
	}
}

// close unregisters everything. It waits until no callback of the meter provider
// runs, because the SDK holds its lock during any callback, not only ours.
func (m *Monitor) close() {
	defer close(m.closed)
	m.closeErr = m.telemetry.Close()
	release(m.provider)
}

// run takes a snapshot at once, and then one every interval.
func (m *Monitor) run() {
	defer close(m.done)
	defer func() { m.observer = nil }() // the history is megabytes, and a service may keep the monitor
	defer m.feed.clear()
	ticker := time.NewTicker(m.interval)
	defer ticker.Stop()
	for {
		m.step()
		select {
		case <-m.stop:
			return
		case <-ticker.C:
		}
	}
}

// step takes a snapshot and does everything that follows from it. A failure in
// it, in a detector or in the user's log processor does not reach the host.
func (m *Monitor) step() {
	o := m.observer
	defer o.survive()
	ctx := context.Background()
	o.skips = nil
	snapshot := o.take(ctx)
	if snapshot == nil {
		m.skipped(o.skips)
		m.deliver(Update{Open: m.Findings(), Skips: o.skips})
		return
	}
	m.latest.Store(snapshot)
	o.publish(ctx, snapshot)
	r := o.engine.Step(snapshot)
	o.check(snapshot, r.Verdicts)
	m.open.Store(&r.Open)
	m.saw(snapshot, r.Statuses, o.skips)
	m.telemetry.SetOpen(r.Open, snapshot.Time)
	m.deliver(Update{Snapshot: snapshot, Open: r.Open, Events: r.Events, Skips: o.skips})
	o.send(ctx, snapshot, r.Events)
}

// deliver calls the subscribers and charges their time to the budget.
func (m *Monitor) deliver(u Update) {
	began := time.Now()
	if m.feed.deliver(u, m.told.survive) {
		m.observer.capturer.Charge(time.Since(began))
	}
}
