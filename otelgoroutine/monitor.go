// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// askedFor is how long after a question the monitor goes on capturing although
// nothing else can be heard.
const askedFor = 10 * time.Minute

// noListener says why nothing is captured.
const noListener = "nothing exports telemetry, and no findings were asked for in the last 10 min"

// A Monitor observes the goroutines of this process until it is shut down.
// Make one with [Start]. Its methods are safe for concurrent use, and do nothing
// on a nil or zero Monitor.
type Monitor struct {
	provider  metric.MeterProvider
	logs      log.LoggerProvider
	telemetry *telemetry.Telemetry
	interval  time.Duration
	budget    Budget
	detectors []string  // their names
	handover  handover  // see WithHandover
	observer  *observer // nil once the monitor's goroutine has ended

	latest atomic.Pointer[goroutine.Snapshot]
	open   atomic.Pointer[[]detectors.Finding] // after the last snapshot
	sight  *sight.Sight                        // what can be judged; see status.go
	feed   feed
	past   past
	told   complaints
	sinks  sinks // where events go besides logs

	asked  atomic.Pointer[time.Time] // when a snapshot or findings were last asked for
	probed atomic.Pointer[time.Time] // when the health was last asked for
	idle   atomic.Bool               // nothing is captured, because nothing can be heard
	wake   chan struct{}             // ends the pause of an idle monitor

	fresh    flights[*goroutine.Snapshot] // snapshots on request
	captures flights[Captured]            // these, saved
	signals  sync.WaitGroup               // the goroutine that receives them
	archive  *archive                     // nil: there is none
	exporter *archive                     // the same, of profiles
	testing  atomic.Bool                  // a self-test is under way

	stop     chan struct{} // closed by Shutdown; nil in a zero Monitor
	stopOnce sync.Once
	done     chan struct{} // closed when the goroutine has ended
	left     bool          // a capture that hangs was left behind; set before done is closed
	closed   chan struct{} // closed when nothing is registered any more
	closeErr error         // set before closed is closed
}

func newMonitor(mp metric.MeterProvider, c config) *Monitor {
	m := &Monitor{
		provider: mp,
		logs:     c.loggerProvider,
		interval: c.interval,
		budget:   c.budget,
		sight:    sight.New(c.interval, c.detectors, time.Now()),
		wake:     make(chan struct{}, 1),
		stop:     make(chan struct{}),
		done:     make(chan struct{}),
		closed:   make(chan struct{}),
		handover: handover{wanted: c.handover, begun: make(chan struct{})},
	}
	m.sinks = newSinks(c, m.told.survive)
	for _, d := range c.detectors {
		m.detectors = append(m.detectors, d.Name)
	}
	return m
}

// begin registers the instruments and starts the monitor's goroutine.
func (m *Monitor) begin(c config) error {
	t, err := telemetry.New(telemetry.Config{
		MeterProvider:  m.provider,
		LoggerProvider: m.logs,
		TopStacks:      c.topStacks,
		Scheduler:      capture.ReadScheduler,
		Age:            m.sight.Age,
	})
	if err != nil {
		return fmt.Errorf("otelgoroutine: %w", err)
	}
	m.telemetry = t
	m.tellDetectors()
	m.observer = newObserver(c, t, &m.told, m.stop)
	if m.observer.store != nil {
		m.archive, m.exporter = m.observer.store.archive, m.observer.store.exporter
	}
	if c.signals != nil {
		m.signals.Go(func() { m.receive(c.signals) })
	}
	go m.run()
	return nil
}

// made reports whether Start made m.
func (m *Monitor) made() bool { return m != nil && m.stop != nil }

// sharesMetrics reports whether both monitors report to the same metrics.
func (m *Monitor) sharesMetrics(other *Monitor) bool {
	return telemetry.SameMetrics(m.provider, other.provider)
}

// Snapshot returns the latest snapshot, or nil before the first, which is taken
// right after Start. The snapshot is shared and must not be modified.
func (m *Monitor) Snapshot() *goroutine.Snapshot {
	if !m.made() {
		return nil
	}
	m.ask()
	return m.latest.Load()
}

// Findings returns the findings that are open now, the longest open first.
func (m *Monitor) Findings() []detectors.Finding {
	if !m.made() {
		return nil
	}
	m.ask()
	return m.findings()
}

func (m *Monitor) findings() []detectors.Finding {
	if open := m.open.Load(); open != nil {
		return slices.Clone(*open)
	}
	return nil
}

// ask notes that a snapshot or findings were asked for.
func (m *Monitor) ask() {
	now := time.Now()
	m.asked.Store(&now)
	m.rouse()
}

// rouse lets a monitor that captures nothing see at once whether it is heard now.
func (m *Monitor) rouse() {
	if m.idle.Load() {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
}

// Interval returns the interval as set with [WithInterval], which says how the time
// between snapshots follows from it.
func (m *Monitor) Interval() time.Duration {
	if !m.made() {
		return 0
	}
	return m.interval
}

// Budget returns what snapshots may cost, as set with [WithBudget].
func (m *Monitor) Budget() Budget {
	if !m.made() {
		return Budget{}
	}
	return m.budget
}

// ended is the Done channel of a Monitor that Start did not make.
var ended = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// Done returns a channel that is closed when [Monitor.Shutdown] is called.
func (m *Monitor) Done() <-chan struct{} {
	if !m.made() {
		return ended
	}
	return m.stop
}

// WriteReport writes the latest snapshot, the open findings and the trend of the
// number of goroutines over [Monitor.History] as text for people. The trend has the
// growth factor, from how many to how many goroutines over which time, and a mark on
// strong growth; the first two minutes after the start of the service do not count
// once four have passed. WriteReport captures nothing.
func (m *Monitor) WriteReport(w io.Writer) error {
	if !m.made() {
		return errors.New("otelgoroutine: WriteReport: this Monitor was not made by Start, or OTELGOROUTINE_ENABLED=false turned it off")
	}
	s, o := m.Snapshot(), report.Options{Terse: true, Sight: report.SightOf(m.Status().internal())}
	if s != nil {
		o.Past = m.past.before(s.Time)
	}
	return report.New([]*goroutine.Snapshot{s}, m.Findings(), o).Text(w)
}

// Shutdown stops the monitor: it unregisters every callback, stops the monitor's
// goroutine and waits for it to end. A capture in progress is told to end. If it
// hangs in the runtime, Shutdown leaves it behind after about ten seconds and says
// so in the error. Files that wait for the function of [WithArchive] or
// [WithProfileExporter] are handed over. If
// ctx is done first, it returns an error that wraps the error of
// ctx. Events are passed to the logger provider as they occur; the caller shuts that
// down next. Those that wait for a slog handler or a function of [WithEventFunc] are
// delivered first. If one call of these takes more than ten seconds, it is left behind
// as well. Further calls only wait.
//
// It must not be called from a metric callback.
func (m *Monitor) Shutdown(ctx context.Context) error {
	if !m.made() {
		return nil
	}
	m.end()
	select {
	case <-m.closed:
	case <-ctx.Done():
		return fmt.Errorf("otelgoroutine: Shutdown: a metric callback is still under way: %w", ctx.Err())
	}
	select {
	case <-m.done:
		return errors.Join(m.closeErr, m.leftBehind(), m.sinks.undelivered(), m.archive.wait(ctx), m.exporter.wait(ctx))
	case <-ctx.Done():
		return fmt.Errorf("otelgoroutine: Shutdown: a snapshot or an event is still under way: %w", ctx.Err())
	}
}

// end makes everything end, and waits for nothing.
func (m *Monitor) end() {
	m.stopOnce.Do(func() {
		close(m.stop)
		go m.close()
	})
}

func (m *Monitor) leftBehind() error {
	if !m.left {
		return nil
	}
	return fmt.Errorf("otelgoroutine: Shutdown: a goroutine was left behind: %w", errHung)
}

// close unregisters everything. It waits until no callback of the meter provider
// runs, because the SDK holds its lock during any callback, not only ours.
func (m *Monitor) close() {
	defer close(m.closed)
	m.closeErr = m.telemetry.Close()
	release(m)
}

// run takes a snapshot at once, some soon after it, and then whenever one is due.
func (m *Monitor) run() {
	defer close(m.done)
	defer func() { m.observer = nil }() // the history is megabytes, and a service may keep the monitor
	defer m.feed.clear()
	defer m.exporter.end()
	defer m.archive.end()
	defer m.sinks.close()
	defer func() { m.left = m.observer.client.close() }()
	defer m.endRequests()
	beats := newMetronome(m.observer.pace.beat, m.observer.early)
	defer beats.timer.Stop()
	m.step(0)
	if !m.early() {
		return
	}
	for m.wait(beats) {
		m.step(beats.lateness())
	}
}

// wait waits until a snapshot is due, or until a monitor that captures nothing is
// roused. It returns false when the monitor is shut down.
func (m *Monitor) wait(beats *metronome) bool {
	began := beats.count
	for {
		select {
		case <-m.stop:
			return false
		case <-beats.wait(m.observer.pace.stride()):
			beats.heard()
			if m.due(beats.count - began) {
				return true
			}
		case <-m.wake:
			if m.idle.Load() { // not if it was heard meanwhile
				return true
			}
		}
	}
}

// due reports whether a snapshot is due so many beats after the last attempt.
func (m *Monitor) due(beats int) bool {
	o := m.observer
	return o.pace.due(beats, o.spare, func() bool {
		if m.wanted() || o.period.due(time.Now()) || !o.pace.quiet(beats, o.client.counts()) {
			return false
		}
		m.sight.Quiet(time.Now())
		return true
	})
}

// step takes a snapshot and does everything that follows from it. late is for how long
// the process could not run since the last step. A failure in it, in a detector or in
// the user's log processor does not reach the host.
func (m *Monitor) step(late time.Duration) {
	o := m.observer
	defer o.survive()
	before := o.pace.last
	o.pace.failed() // unless it succeeds
	o.late += late
	ctx := context.Background()
	o.skips = nil
	m.yield()
	if m.idle.Store(true); !m.heard(ctx) { // a question asked meanwhile finds the monitor idle
		m.pause(detectors.ReasonNoListener, noListener)
		return
	}
	m.idle.Store(false)
	snapshot := o.take(ctx)
	if snapshot == nil {
		m.skipped(o.skips)
		m.deliver(Update{Open: m.findings(), Skips: o.skips})
		return
	}
	m.latest.Store(snapshot)
	m.past.add(snapshot)
	o.publish(ctx, snapshot)
	r := o.engine.Step(snapshot)
	o.check(snapshot, r.Verdicts)
	o.rot(r.Unused)
	m.open.Store(&r.Open)
	m.saw(snapshot, r.Statuses, o.skips)
	m.telemetry.SetOpen(r.Open, snapshot.Time)
	m.deliver(Update{Snapshot: snapshot, Open: r.Open, Events: r.Events, Skips: o.skips})
	o.client.work(func() { m.send(ctx, snapshot, m.dispatch(ctx, r.Events)) })
	o.savePeriodically(snapshot)
	o.pace.saw(snapshot, before, r, o.client.counts())
}

// deliver calls the subscribers and charges their CPU time to the budget.
func (m *Monitor) deliver(u Update) {
	m.observer.client.work(func() { m.feed.deliver(u, m.told.survive) })
}

// wanted reports whether a snapshot or findings were asked for lately.
func (m *Monitor) wanted() bool { return lately(&m.asked) }

// heard reports whether anything would notice a snapshot.
func (m *Monitor) heard(ctx context.Context) bool {
	return m.wanted() || lately(&m.probed) || m.observer.store != nil || m.feed.heard() || m.telemetry.Heard(ctx) || m.listen(ctx)
}

// yield mutes this monitor's metrics while an earlier one reports to the same
// place. Start refuses that, but providers may come together later: the global one
// leads to the SDK's once that is set up.
func (m *Monitor) yield() {
	double := slices.ContainsFunc(earlier(m), m.sharesMetrics)
	m.telemetry.Mute(double)
	if double {
		m.told.complain("double", fmt.Errorf("%w; the metrics of the later monitor are off", ErrStarted))
	}
}

// tells reports whether m sends an event of a later monitor, which runs these
// detectors, as well. A summary is of all detectors.
func (m *Monitor) tells(e detectors.Event, all []string) bool {
	if e.Kind != detectors.Suppressed {
		return slices.Contains(m.detectors, e.Finding.Detector)
	}
	return !slices.ContainsFunc(all, func(name string) bool { return !slices.Contains(m.detectors, name) })
}
