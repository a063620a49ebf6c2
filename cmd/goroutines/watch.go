package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/export"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/live"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/source"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/view"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/internal/words"
)

// maxTargets is the maximum number of processes in one watch.
const maxTargets = 100

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
elsewhere it prints a line for each snapshot and each event. A process that
restarts or cannot be reached is waited for.

With --otlp it sends the metrics and events that the library would send, with
service.name and service.instance.id as the resource, so that a service that
cannot be rebuilt is observed all the same.

Each snapshot is an execution trace of a few milliseconds, during which no other
trace of the process can be taken, or a goroutine profile.`,
		Example: `  goroutines watch http://host:6060
  goroutines watch --interval 5s http://a:6060 http://b:6060
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
	w := &watching{flags: f, cancel: cancel, out: c.OutOrStdout(), in: c.InOrStdin()}
	defer func() { err = errors.Join(err, w.shutdown()) }()
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
	cancel    context.CancelFunc
	in        io.Reader
	out       io.Writer
	print     sync.Mutex
	targets   []*live.Target
	events    live.Events
	exporters []*export.Exporter
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
		seen := sight.New(w.flags.interval, ds, time.Now())
		w.remotes = append(w.remotes, remote)
		exported, err := w.export(ctx, remote, seen)
		if err != nil {
			return err
		}
		target := live.NewTarget(remote.Name, remote, ds, seen, exported, w.event)
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
		Endpoint: f.otlp, Protocol: f.protocol, Interval: f.interval, Stacks: f.top, Age: seen.Age,
		Service:  cmp.Or(f.service, os.Getenv("OTEL_SERVICE_NAME"), remote.Host),
		Instance: cmp.Or(f.instance, remote.Instance),
	})
	if err != nil {
		return nil, fmt.Errorf("--otlp: %w", err)
	}
	w.exporters = append(w.exporters, e)
	return e.Telemetry, nil
}

func (w *watching) shutdown() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	for _, r := range w.remotes {
		r.Close()
	}
	var errs []error
	for _, e := range w.exporters {
		errs = append(errs, e.Shutdown(ctx))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("--otlp: %w", err)
	}
	return nil
}

// event receives the events of all targets.
func (w *watching) event(e live.Event) {
	w.events.Add(e)
	f := w.flags
	f.worstLock.Lock()
	f.worst = max(f.worst, e.Finding.Confidence)
	f.worstLock.Unlock()
	if !isTerminal(w.out) {
		w.line(view.EventLine(e, true))
		for _, line := range details(&report.Briefly([]detectors.Finding{e.Finding})[0]) {
			w.line("    " + line)
		}
	}
}

// details returns what is said about a finding beside its message.
func details(f *report.Finding) (lines []string) {
	if f.Unjudged != "" {
		lines = append(lines, "Not judged now: "+f.Unjudged+".")
	}
	for i := range f.Participants {
		lines = append(lines, f.Participants[i].String())
	}
	lines = append(lines, f.Evidence...)
	if f.Advice != "" {
		lines = append(lines, "Next: "+f.Advice)
	}
	return lines
}

// line prints a line without colours.
func (w *watching) line(text string) {
	w.print.Lock()
	defer w.print.Unlock()
	plain := &colorprofile.Writer{Forward: w.out, Profile: colorprofile.NoTTY}
	fmt.Fprintln(plain, text)
}

func (w *watching) screen(now time.Time) view.Screen {
	s := view.Screen{Events: w.events.List(), Interval: w.flags.interval, Now: now, Exports: w.flags.otlp}
	for _, t := range w.targets {
		s.Targets = append(s.Targets, t.Status())
	}
	return s
}

// show displays the watch until ctx ends or the user quits.
func (w *watching) show(ctx context.Context) error {
	if !isTerminal(w.out) {
		w.log(ctx)
		return nil
	}
	program := tea.NewProgram(&model{watching: w}, tea.WithContext(ctx), tea.WithInput(w.in), tea.WithOutput(w.out), tea.WithoutSignalHandler())
	_, err := program.Run()
	if errors.Is(err, tea.ErrProgramKilled) || ctx.Err() != nil {
		return nil
	}
	return err
}

// log prints a line for each snapshot.
func (w *watching) log(ctx context.Context) {
	ticker := time.NewTicker(min(w.flags.interval, time.Second) / 4)
	defer ticker.Stop()
	seen := make([]time.Time, len(w.targets))
	for {
		for i, t := range w.targets {
			s := t.Status()
			if n := len(s.Points); n > 0 && s.Points[n-1].Time.After(seen[i]) {
				seen[i] = s.Points[n-1].Time
				w.line(statusLine(s))
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func statusLine(s live.Status) string {
	last := s.Points[len(s.Points)-1]
	text := last.Time.Format("15:04:05") + "  " + s.Name + "  "
	if last.Failed {
		return text + strings.TrimPrefix(fmt.Sprint(s.Err), s.Name+": ")
	}
	text += fmt.Sprintf("%d goroutines, %s", last.Total, report.SightOf(s.Sight).Count(len(s.Open)))
	if s.Restarts > 0 {
		text += ", restarted " + words.Plural(s.Restarts, "time")
	}
	for _, fault := range s.Faults {
		text += "; " + fault
	}
	return text
}

// A model adapts the watch to Bubble Tea.
type model struct {
	*watching
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
	s.Selected, s.Keys = m.selected, true
	v := tea.NewView(strings.Join(s.Lines(m.width, m.height), "\n"))
	v.AltScreen = true
	v.WindowTitle = "goroutines watch"
	return v
}
