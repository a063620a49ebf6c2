// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/export"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/view"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/source"
	"github.com/otelgoroutine/go/internal/telemetry"
)

// maxTargets is the maximum number of processes in one watch.
const maxTargets = 100

// watchFormats are the values of --format of watch.
var watchFormats = []string{"text", "json"}

type watchFlags struct {
	inputFlags
	interval  time.Duration
	duration  time.Duration
	scale     float64
	otlp      string
	protocol  string
	service   string
	instance  string
	top       int
	format    string
	failOn    string
	worst     detectors.Confidence
	worstLock sync.Mutex
}

func newWatch() *cobra.Command {
	f := &watchFlags{}
	c := &cobra.Command{
		Use:   "watch URL...",
		Short: "Watch processes live, and export metrics and events by OTLP",
		Long: `Watch observes one or many processes with the detectors of the library. On
a terminal it shows states and stacks over time, and findings as they open;
elsewhere, and with --format, it writes a line when something changes, and
every 10 minutes that it goes on. A process that restarts or cannot be reached
is waited for.

A process is "ok" only if all detectors judge it and find nothing. Most need
goroutine IDs, which traces of Go 1.23 and later have, and all but one need
several snapshots. What they cannot judge, and why, is shown.

With --otlp it sends the metrics and events that the library would send, with
service.name and service.instance.id as the resource, so that a service that
cannot be rebuilt is observed all the same.

Each snapshot is an execution trace of a few milliseconds, during which no other
trace of the process can be taken, or a goroutine profile.`,
		Example: `  goroutines watch http://host:6060
  goroutines watch --interval 5s http://a:6060 http://b:6060
  goroutines watch --format json http://host:6060 | jq -c 'select(.kind=="event")'
  goroutines watch --otlp localhost:4317 --service-name checkout http://host:6060
  goroutines watch --otlp https://collector:4318 http://host:6060 >/dev/null &`,
		Args: atLeastOne,
		RunE: func(c *cobra.Command, args []string) error { return f.run(c, args) },
	}
	f.inputFlags.add(c.Flags())
	flags := c.Flags()
	flags.DurationVarP(&f.interval, "interval", "i", 15*time.Second, "time between snapshots, from 100ms to 1h")
	flags.DurationVar(&f.duration, "duration", 0, "end after this time; 0: on Ctrl-C")
	flags.Float64Var(&f.scale, "time-scale", 1, "multiply every time of the detectors, for demonstrations")
	flags.StringVar(&f.otlp, "otlp", "", "endpoint to export to: host:port, http://host:port or https://host:port")
	flags.StringVar(&f.protocol, "otlp-protocol", "", "grpc or http/protobuf; grpc unless the port is 4318")
	flags.StringVar(&f.service, "service-name", "", "service.name; the host unless given here or in OTEL_SERVICE_NAME")
	flags.StringVar(&f.instance, "service-instance", "", "service.instance.id of a single process; its host:port unless given")
	flags.StringVarP(&f.format, "format", "f", "", "text or json for a line for each change, on a terminal too; the default is a screen on a terminal, and text elsewhere")
	flags.IntVar(&f.top, "top", 20, "stacks with series of their own, from 1 to 400")
	flags.StringVar(&f.failOn, "fail-on", "", "exit with 1 if a finding of this confidence or above was open: any, "+confidenceWords())
	return c
}

func (f *watchFlags) check(args []string) (failOn, error) {
	switch {
	case f.interval < 100*time.Millisecond || f.interval > time.Hour:
		return failOn{}, fmt.Errorf("--interval %v: the interval must be 100ms to 1h", f.interval)
	case f.duration < 0:
		return failOn{}, fmt.Errorf("--duration %v: the duration must be above 0", f.duration)
	case !(f.scale > 0 && f.scale <= 100):
		return failOn{}, fmt.Errorf("--time-scale %v: the scale must be above 0 and at most 100", f.scale)
	case f.format != "" && !slices.Contains(watchFormats, f.format):
		return failOn{}, unknownValue("--format", f.format, watchFormats)
	case f.top < 1 || f.top > 400:
		return failOn{}, fmt.Errorf("--top %d: the number must be 1 to 400", f.top)
	case len(args) > maxTargets:
		return failOn{}, fmt.Errorf("%d processes; at most %d can be watched at once", len(args), maxTargets)
	case f.instance != "" && len(args) > 1:
		return failOn{}, errors.New("--service-instance: with several processes each is named after its host and port")
	}
	for _, arg := range args {
		if !source.IsURL(arg) {
			return failOn{}, fmt.Errorf("%s: not the address of a process; files are for report and diff", arg)
		}
	}
	if f.otlp != "" {
		var err error
		if f.protocol, err = export.CheckEndpoint(f.otlp, f.protocol); err != nil {
			return failOn{}, err
		}
	}
	return parseFailOn(f.failOn)
}

func (f *watchFlags) run(c *cobra.Command, args []string) (err error) {
	fail, err := f.check(args)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(c.Context())
	defer cancel()
	if f.duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, f.duration)
		defer cancel()
	}
	w := newWatching(f, c)
	defer func() { err = errors.Join(err, w.shutdown(ctx)) }()
	if err := w.open(ctx, c, args); err != nil {
		return err
	}
	var running sync.WaitGroup
	for _, t := range w.targets {
		running.Go(func() { t.Run(ctx, f.interval) })
	}
	err = w.show(ctx)
	cancel()
	running.Wait()
	if err == nil && fail.confidence > 0 && f.worst >= fail.confidence {
		err = errFindings
	}
	return err
}

// watching is a running watch.
type watching struct {
	flags     *watchFlags
	in        io.Reader
	out, errs io.Writer
	log       *changeLog // nil: there is a screen
	targets   []*observe.Target
	events    observe.Events
	exporters []*export.Exporter
	health    *export.Health
	remotes   []*source.Remote
}

func (w *watching) open(ctx context.Context, c *cobra.Command, args []string) error {
	reader, err := w.flags.reader(ctx, c.InOrStdin())
	if err != nil {
		return err
	}
	ds := detectors.Scaled(w.flags.scale)
	for _, arg := range args {
		remote, err := reader.Remote(arg)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(w.targets, func(t *observe.Target) bool { return t.Status().Name == remote.Name }) {
			return fmt.Errorf("%s: the same process is given twice", arg)
		}
		seen := sight.New(w.flags.interval, ds, time.Now())
		w.remotes = append(w.remotes, remote)
		exported, err := w.export(ctx, remote, seen)
		if err != nil {
			return err
		}
		target := observe.NewTarget(remote.Name, remote, ds, seen, exported, w.step)
		target.Exclude(w.flags.excluded)
		w.targets = append(w.targets, target)
	}
	return nil
}

// export returns nil if nothing is exported.
func (w *watching) export(ctx context.Context, remote *source.Remote, seen *sight.Sight) (*telemetry.Telemetry, error) {
	f := w.flags
	if f.otlp == "" {
		return nil, nil
	}
	e, err := export.New(ctx, export.Config{
		Endpoint: f.otlp, Protocol: f.protocol, Interval: f.interval, Stacks: f.top, Age: seen.Age, Health: w.health,
		Service:  cmp.Or(f.service, os.Getenv("OTEL_SERVICE_NAME"), remote.Host),
		Instance: cmp.Or(f.instance, remote.Instance),
	})
	if err != nil {
		return nil, fmt.Errorf("--otlp: %w", err)
	}
	w.exporters = append(w.exporters, e)
	return e.Telemetry, nil
}

// shutdown sends what is not yet sent. If that fails already, it does not wait long:
// the user has ended the watch.
func (w *watching) shutdown(ctx context.Context) error {
	for _, r := range w.remotes {
		r.Close()
	}
	w.health.Quiet()
	limit := 2 * time.Second
	if w.health.Err() != nil {
		limit = time.Second / 2
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), limit)
	defer cancel()
	errs := make([]error, len(w.exporters))
	var running sync.WaitGroup
	for i, e := range w.exporters {
		running.Go(func() { errs[i] = e.Shutdown(ctx) })
	}
	running.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("--otlp %s: not all was sent: %w", w.flags.otlp, firstOf(err))
		}
	}
	return nil
}

// firstOf returns the first of several joined errors.
func firstOf(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
		return firstOf(joined.Unwrap()[0])
	}
	return err
}

// step receives what each attempt to take a snapshot led to, of all targets.
func (w *watching) step(s observe.Step) {
	for _, e := range s.Events {
		w.events.Add(observe.Event{Target: s.Status.Name, Event: e})
		w.flags.note(e.Finding.Confidence)
	}
	if w.log != nil {
		w.log.step(&s)
	}
}

// note remembers the highest confidence of a finding, for --fail-on.
func (f *watchFlags) note(c detectors.Confidence) {
	f.worstLock.Lock()
	defer f.worstLock.Unlock()
	f.worst = max(f.worst, c)
}

func (w *watching) statuses() []observe.Status {
	all := make([]observe.Status, len(w.targets))
	for i, t := range w.targets {
		all[i] = t.Status()
	}
	return all
}

func (w *watching) screen(now time.Time) view.Screen {
	s := view.Screen{Targets: w.statuses(), Events: w.events.List(), Interval: w.flags.interval, Now: now, Exports: w.flags.otlp}
	if err := w.health.Err(); err != nil {
		s.Failing = exportError(err)
	}
	return s
}

// show displays the watch until ctx ends or the user quits.
func (w *watching) show(ctx context.Context) error {
	if w.log != nil {
		return w.log.run(ctx, w.statuses)
	}
	keys := isTerminal(w.in)
	program := tea.NewProgram(&model{watching: w, keys: keys}, tea.WithContext(ctx), tea.WithInput(w.in), tea.WithOutput(w.out), tea.WithoutSignalHandler())
	_, err := program.Run()
	if errors.Is(err, tea.ErrProgramKilled) || ctx.Err() != nil {
		return nil
	}
	return err
}

// A model adapts the watch to Bubble Tea.
type model struct {
	*watching
	keys                    bool // keyboard input is available
	selected, width, height int
}

type tick time.Time

func (m *model) Init() tea.Cmd { return m.next() }

func (m *model) next() tea.Cmd {
	return tea.Tick(250*time.Millisecond, func(t time.Time) tea.Msg { return tick(t) })
}

func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case tick:
		return m, m.next()
	case tea.WindowSizeMsg:
		m.width, m.height = message.Width, message.Height
	case tea.KeyPressMsg:
		switch message.String() {
		case "q", "ctrl+c", "esc":
			return m, tea.Quit
		case "ctrl+z":
			return m, tea.Suspend
		case "down", "j", "tab":
			m.selected = (m.selected + 1) % len(m.targets)
		case "up", "k", "shift+tab":
			m.selected = (m.selected + len(m.targets) - 1) % len(m.targets)
		}
	}
	return m, nil
}

func (m *model) View() tea.View {
	s := m.screen(time.Now())
	s.Selected, s.Keys = m.selected, m.keys
	v := tea.NewView(strings.Join(s.Lines(m.width, m.height), "\n"))
	v.AltScreen = true
	v.WindowTitle = "goroutines watch"
	return v
}
