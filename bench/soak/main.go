// Soak runs a healthy service with the default options under real load in real time,
// and asks its liveness probe every second. Run it from the root of the repository:
//
//	go run -C bench ./soak -for 35m
//	go run -C bench ./soak -for 35m -waves
//
// The service has a pool of workers, a contended lock and a dependency. With -waves,
// the dependency takes two to four minutes for each answer in three minutes of every
// ten, and its callers wait as long, among them all workers of a pool. The probe has no
// minimum age here, health.WithUnhealthyAfter(0): a single finding that is confirmed or
// surer, for a single snapshot, is a failure. The exit status is 1 then.
package main

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/health"
	"github.com/otelgoroutine/go/otelgoroutine"

)

func main() { lab.Main(run) }

const (
	probeEvery  = time.Second
	reportEvery = time.Minute
)

type options struct {
	span  time.Duration
	waves bool
	probe time.Duration // between two probes
}

func parseOptions(args []string, help io.Writer) (options, error) {
	o := options{span: 35 * time.Minute, probe: probeEvery}
	f := flag.NewFlagSet("./soak", flag.ContinueOnError)
	f.Func("for", "how `long` it runs, from 1s to 48h (default 35m)", lab.Within(&o.span, time.ParseDuration, time.Second, 48*time.Hour))
	f.BoolVar(&o.waves, "waves", false, "let the dependency be slow for three minutes in ten")
	return o, lab.Parse(f, args, help)
}

// run is main with its surroundings as parameters.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (ok bool, err error) {
	o, err := parseOptions(args, stdout)
	if err != nil {
		return false, err
	}
	r, err := soak(ctx, o, stderr)
	if err != nil {
		return false, err
	}
	fmt.Fprintf(stdout, "%s\n\n    %s\n\n", lab.ThisMachine(), strings.TrimSpace("go run -C bench ./soak "+strings.Join(args, " ")))
	r.write(stdout)
	return r.unhealthy == 0 && r.healthy > 0, nil
}

// A result is what the probe answered, and which findings were open meanwhile.
type result struct {
	span               time.Duration
	cpu                time.Duration
	requests           int64
	healthy, unhealthy int
	first              string         // the first answer that was not healthy
	blind              int            // healthy answers of a monitor that could not judge
	found              map[string]int // by detector and confidence: in how many probes it was open
}

func (r result) write(w io.Writer) {
	fmt.Fprintf(w, "%s, %s requests, %.1f %% of a core with the load.\n", r.span.Round(time.Second), lab.Thousands(int(r.requests)), 100*r.cpu.Seconds()/r.span.Seconds())
	fmt.Fprintf(w, "Probes: %d healthy (%d of them blind), %d unhealthy.\n", r.healthy, r.blind, r.unhealthy)
	if r.first != "" {
		fmt.Fprintf(w, "First unhealthy answer: %s", r.first)
	}
	for _, what := range slices.Sorted(maps.Keys(r.found)) {
		fmt.Fprintf(w, "Open in %d probes: %s\n", r.found[what], what)
	}
}

// soak runs the service and asks the probe.
func soak(ctx context.Context, o options, progress io.Writer) (r result, err error) {
	s, err := startService(o.waves)
	if err != nil {
		return r, err
	}
	defer s.stop()
	m, err := otelgoroutine.Start(provider())
	if err != nil {
		return r, err
	}
	defer func() { err = cmp.Or(err, m.Shutdown(context.Background())) }()
	h := health.Handler(m, health.WithUnhealthyAfter(0))

	r.found = make(map[string]int)
	began, cpu := time.Now(), lab.ProcessCPU()
	beat, report := time.NewTicker(o.probe), time.NewTicker(reportEvery)
	defer beat.Stop()
	defer report.Stop()
	end := time.After(o.span)
	for running := true; running; {
		select {
		case <-beat.C:
			if err := r.probe(ctx, h, m); err != nil {
				return r, err
			}
		case <-report.C:
			fmt.Fprintf(progress, "%s: %d healthy, %d unhealthy, %d requests, open: %s. %s\n",
				time.Since(began).Round(time.Second), r.healthy, r.unhealthy, s.requests.Load(), names(m.Findings()), m.Status())
		case <-end:
			running = false
		case <-ctx.Done():
			running = false
		}
	}
	r.span, r.cpu, r.requests = time.Since(began), lab.ProcessCPU()-cpu, s.requests.Load()
	return r, nil
}

// probe asks once.
func (r *result) probe(ctx context.Context, h http.Handler, m *otelgoroutine.Monitor) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "/livez", nil)
	if err != nil {
		return err
	}
	a := answer{header: make(http.Header)}
	h.ServeHTTP(&a, request)
	for _, f := range m.Findings() {
		r.found[fmt.Sprintf("%s (%s)", f.Detector, f.Confidence)]++
	}
	if a.status == http.StatusOK {
		r.healthy++
		if strings.HasPrefix(a.body.String(), "ok: cannot judge") {
			r.blind++
		}
		return nil
	}
	r.unhealthy++
	r.first = cmp.Or(r.first, a.body.String())
	return nil
}

func names(all []detectors.Finding) string {
	var names []string
	for _, f := range all {
		names = append(names, fmt.Sprintf("%s (%s): %s", f.Detector, f.Confidence, f.Message))
	}
	return cmp.Or(strings.Join(names, "; "), "none")
}

// An answer is a response to a probe.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return a.body.Write(p) }

