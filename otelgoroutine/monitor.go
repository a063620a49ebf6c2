package otelgoroutine

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/incident"
	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// A Monitor observes the goroutines of this process until it is shut down.
// Make one with [Start]. Its methods are safe for concurrent use.
type Monitor struct {
	provider  metric.MeterProvider
	telemetry *telemetry.Telemetry
	interval  time.Duration
	budget    Budget
	watch     *watch

	latest    atomic.Pointer[goroutine.Snapshot]
	incidents atomic.Pointer[[]incident.Incident] // open after the last look
	live      atomic.Pointer[live.Recorder]       // nil: there is no page

	stop     chan struct{} // closed by Shutdown
	stopOnce sync.Once
	done     chan struct{} // closed when the goroutine has ended
	closed   chan struct{} // closed when nothing is registered any more
	closeErr error         // set before closed is closed
}

// A capturer takes snapshots. *capture.Capturer is the real one.
type capturer interface {
	Take() (*goroutine.Snapshot, []capture.Skip)
	Labelled() (*goroutine.Snapshot, *capture.Skip)
	Prove(base *goroutine.Snapshot) (*goroutine.Snapshot, *capture.Skip)
	Text() (*capture.Dump, *capture.Skip)
	Window(span time.Duration, stop <-chan struct{}) (*goroutine.Snapshot, *capture.Skip)
	Charge(work time.Duration)
}

func newMonitor(mp metric.MeterProvider, c config) (*Monitor, error) {
	t, err := telemetry.New(telemetry.Config{
		MeterProvider:  mp,
		LoggerProvider: c.loggerProvider,
		TopStacks:      c.topStacks,
		Scheduler:      capture.ReadScheduler,
	})
	if err != nil {
		return nil, fmt.Errorf("otelgoroutine: %w", err)
	}
	return &Monitor{
		provider:  mp,
		telemetry: t,
		interval:  c.interval,
		budget:    c.budget,
		watch:     newWatch(c),
		stop:      make(chan struct{}),
		done:      make(chan struct{}),
		closed:    make(chan struct{}),
	}, nil
}

// Snapshot returns the latest snapshot. It is nil before the first, which is
// taken right after Start, and never after. The snapshot is shared: read only.
func (m *Monitor) Snapshot() *goroutine.Snapshot { return m.latest.Load() }

// Findings returns the findings that are open now, the longest open first.
func (m *Monitor) Findings() []detectors.Finding { return findingsOf(m.open()) }

// WriteReport writes the latest snapshot and the open findings as text for
// people. It captures nothing.
func (m *Monitor) WriteReport(w io.Writer) error {
	return report.New([]*goroutine.Snapshot{m.Snapshot()}, m.Findings(), report.Options{Terse: true}).Text(w)
}

// Shutdown stops observing: it unregisters every callback, ends the monitor's
// goroutine and waits for it, at most until ctx is done, when it returns the
// error of ctx. Events that were sent are with the logger provider, which the
// caller shuts down next. Calling it again does nothing but wait.
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

// close unregisters everything. It waits for as long as any callback of the
// meter provider runs, also those of others: the SDK holds its lock meanwhile.
func (m *Monitor) close() {
	defer close(m.closed)
	if r := m.live.Load(); r != nil {
		r.Close()
	}
	m.closeErr = m.telemetry.Close()
	release(m.provider)
}

// run looks at once, and then every interval.
func (m *Monitor) run() {
	defer close(m.done)
	defer func() { m.watch = nil }() // the history is megabytes, and a service may keep the monitor
	ticker := time.NewTicker(m.interval)
	defer ticker.Stop()
	for {
		m.look()
		select {
		case <-m.stop:
			return
		case <-ticker.C:
		}
	}
}

// look takes a snapshot and does everything that follows from it. Nothing that
// goes wrong in it, in a detector or in somebody's log processor reaches the
// host.
func (m *Monitor) look() {
	defer m.survive()
	ctx := context.Background()
	snapshot, skips := m.watch.capturer.Take()
	m.skipped(ctx, skips...)
	if snapshot == nil {
		return
	}
	m.latest.Store(snapshot)
	m.publish(ctx, snapshot)
	verdicts := m.watch.judge(snapshot)
	if m.lookCloser(ctx, snapshot, verdicts) {
		m.watch.rejudge(snapshot, verdicts)
	}
	findings, ran := summary(verdicts)
	m.enrich(ctx, snapshot, findings)
	events := m.watch.incidents.Step(ran, findings, snapshot.Time)
	open := m.watch.incidents.Open()
	m.incidents.Store(&open)
	m.record(snapshot, open, events)
	m.telemetry.SetOpen(findingsOf(open), snapshot.Time)
	m.send(ctx, snapshot, events)
}

// survive is deferred where other people's code runs, and tells of its panic.
func (m *Monitor) survive() {
	if p := recover(); p != nil {
		m.watch.complain("panic", fmt.Errorf("otelgoroutine: panic: %v", p))
	}
}

// publish makes s what the metrics show. With labels, the counts come from a
// labelled snapshot, and only the ages from s.
func (m *Monitor) publish(ctx context.Context, s *goroutine.Snapshot) {
	counts, skip := m.watch.capturer.Labelled()
	if skip != nil {
		m.skipped(ctx, *skip)
		return // the last labelled counts stay; unlabelled ones would double them
	}
	if counts == nil {
		counts = s
	}
	m.telemetry.Publish(ctx, counts, s)
}

// lookCloser takes the closer looks that detectors asked for, and reports
// whether there were any. Those that are not due are left out without a word.
func (m *Monitor) lookCloser(ctx context.Context, s *goroutine.Snapshot, verdicts []verdict) bool {
	w := m.watch
	looked := false
	if asked(verdicts, goroutine.SourceWindow) {
		window, skip := w.capturer.Window(windowSpan(m.interval), m.stop)
		w.windowed(window, skip)
		looked = m.closer(ctx, window, skip)
	}
	if asked(verdicts, goroutine.SourceProof) && (w.proved.IsZero() || s.Time.Sub(w.proved) >= capture.ProofSpacing) {
		proof, skip := w.capturer.Prove(s)
		if proof != nil {
			w.proved = s.Time
		}
		looked = m.closer(ctx, proof, skip) || looked
	}
	return looked
}

// closer keeps a closer look, if there is one.
func (m *Monitor) closer(ctx context.Context, look *goroutine.Snapshot, skip *capture.Skip) bool {
	if skip != nil {
		m.skipped(ctx, *skip)
	}
	if look == nil {
		return false
	}
	m.watch.history.AddCloser(look)
	m.telemetry.Took(ctx, look)
	return true
}

// windowSpan is how long a window is open: a sixtieth of the time between looks,
// a quarter of a second at most. In it everything that the program does is
// traced, and a flight recorder that it starts fails to start.
func windowSpan(interval time.Duration) time.Duration {
	return min(max(interval/60, 25*time.Millisecond), 250*time.Millisecond)
}

func asked(verdicts []verdict, s goroutine.Source) bool {
	return slices.ContainsFunc(verdicts, func(v verdict) bool { return slices.Contains(v.Asked, s) })
}

func (m *Monitor) skipped(ctx context.Context, skips ...capture.Skip) {
	for _, s := range skips {
		m.telemetry.Skipped(ctx, s.Source, string(s.Reason))
		if r := m.live.Load(); r != nil {
			r.Record(live.Update{Skips: []report.Skip{{Source: string(s.Source), Reason: string(s.Reason)}}})
		}
		m.watch.skipped(s)
	}
}

func (m *Monitor) send(ctx context.Context, s *goroutine.Snapshot, events []incident.Event) {
	var profile string // one for all events of this snapshot
	for _, e := range events {
		if profile == "" && m.watch.profiles != nil && worse(e.Kind) {
			var err error
			if profile, err = m.watch.profiles.save(s, e.Incident.Finding.Detector, e.Incident.ID); err != nil {
				m.watch.complain("profile", err)
			}
		}
		m.emit(ctx, e, profile)
	}
}

// emit sends one event. A log processor that panics keeps no other from being
// sent.
func (m *Monitor) emit(ctx context.Context, e incident.Event, profile string) {
	defer m.survive()
	m.telemetry.Emit(ctx, e, profile)
}

// worse reports whether an event tells of trouble rather than of its end.
func worse(k incident.Kind) bool { return k == incident.Detected || k == incident.Repeated }

// A watch is what the monitor's goroutine works with. Only that goroutine
// touches it.
type watch struct {
	capturer  capturer
	detectors []*detectors.Detector
	known     []detectors.KnownStack
	history   *detectors.History
	incidents *incident.Tracker
	profiles  *profiles // nil: none are saved
	proved    time.Time // when the last leak proof was taken
	noWindow  int       // windows that were asked for in a row and could not be had

	enriched map[detectors.Identity]enrichment // findings of the last look
	dumped   time.Time                         // when the last goroutine dump was taken

	looks      int // snapshots judged
	complained map[string]bool
}

func newWatch(c config) *watch {
	w := &watch{
		capturer:   c.newCapturer(),
		detectors:  c.detectors,
		known:      append(slices.Clone(c.known), detectors.KnownGood()...), // the user's come first: they decide
		history:    detectors.NewHistory(c.detectors),
		incidents:  incident.New(incident.Config{}),
		complained: make(map[string]bool),
	}
	w.history.Can = w.can
	if c.profileDir != "" {
		w.profiles = &profiles{dir: c.profileDir, keep: c.profileKeep}
	}
	return w
}

// windowPatience is how many times in a row a window may be refused before
// detectors are told not to wait for one.
const windowPatience = 8

// windowed counts the windows that could not be had. One that is refused for the
// budget may come later; where none are taken none ever will.
func (w *watch) windowed(s *goroutine.Snapshot, skip *capture.Skip) {
	switch {
	case s != nil:
		w.noWindow = 0
	case skip != nil:
		w.noWindow++
	default:
		w.noWindow = windowPatience
	}
}

// can reports whether a closer look may be waited for.
func (w *watch) can(s goroutine.Source) bool {
	return s == goroutine.SourceWindow && w.noWindow < windowPatience
}

// A verdict is what a detector found, and whether that can be relied on.
type verdict struct {
	detectors.Verdict
	detector *detectors.Detector
	failed   bool
}

// judge runs the detectors over s.
func (w *watch) judge(s *goroutine.Snapshot) []verdict {
	if !w.history.Add(s) {
		return nil // the clock was set back: wait until it has caught up
	}
	w.looks++
	verdicts := make([]verdict, len(w.detectors))
	for i, d := range w.detectors {
		verdicts[i].detector = d
		w.run(s, &verdicts[i])
	}
	return verdicts
}

// rejudge runs the detectors again that had asked for a closer look.
func (w *watch) rejudge(s *goroutine.Snapshot, verdicts []verdict) {
	for i := range verdicts {
		if len(verdicts[i].Asked) > 0 {
			w.run(s, &verdicts[i])
		}
	}
}

func (w *watch) run(s *goroutine.Snapshot, v *verdict) {
	began := time.Now()
	defer func() { w.capturer.Charge(time.Since(began)) }()
	var err error
	v.Verdict, err = detectors.Judge(v.detector, w.history, w.known)
	v.failed = err != nil
	switch {
	case err != nil:
		w.complain("detector "+v.detector.Name, fmt.Errorf("otelgoroutine: %w", err))
	case !v.Ran && w.looks > 1: // the first snapshot never has IDs
		w.complain("no IDs", fmt.Errorf("otelgoroutine: snapshots from source %q have no goroutine IDs; detector %q and all others that need them pause", s.Source, v.detector.Name))
	}
}

// summary returns all findings, and the names of the detectors that did their
// work: what one that failed did not find may be there all the same.
func summary(verdicts []verdict) (findings []detectors.Finding, ran map[string]bool) {
	ran = make(map[string]bool)
	for _, v := range verdicts {
		findings = append(findings, v.Findings...)
		if v.Ran && !v.failed {
			ran[v.detector.Name] = true
		}
	}
	return findings, ran
}

func (w *watch) skipped(s capture.Skip) {
	switch s.Reason {
	case capture.ReasonError, capture.ReasonVersion, capture.ReasonSize, capture.ReasonBusy:
		w.complain(string(s.Source)+" "+string(s.Reason), fmt.Errorf("otelgoroutine: snapshot from source %q: %w", s.Source, s.Refusal))
	}
}

// maxComplaints bounds the kinds of trouble that are told.
const maxComplaints = 100

// complain tells the OpenTelemetry error handler about each kind of trouble
// once. The handler is the user's and may panic.
func (w *watch) complain(kind string, err error) {
	defer func() { _ = recover() }()
	if w.complained[kind] || len(w.complained) >= maxComplaints {
		return
	}
	w.complained[kind] = true
	otel.Handle(err)
}
