// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

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
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
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
	mp := provider()
	defer func() { err = cmp.Or(err, mp.Shutdown(context.Background())) }()
	m, err := otelgoroutine.Start(mp)
	if err != nil {
		return r, err
	}
	defer func() { err = cmp.Or(err, m.Shutdown(context.Background())) }()
	s, err := startService(o.waves, health.Handler(m, health.WithUnhealthyAfter(0)))
	if err != nil {
		return r, err
	}
	defer s.stop()
	var open atomic.Pointer[[]detectors.Finding] // to ask the monitor for them would keep it from resting
	defer m.Subscribe(func(u otelgoroutine.Update) { open.Store(&u.Open) })()

	r.found = make(map[string]int)
	began, cpu := time.Now(), lab.ProcessCPU()
	beat, report := time.NewTicker(o.probe), time.NewTicker(reportEvery)
	defer beat.Stop()
	defer report.Stop()
	end := time.After(o.span)
	for running := true; running; {
		select {
		case <-beat.C:
			if err := r.ask(ctx, s, open.Load()); err != nil {
				return r, err
			}
		case <-report.C:
			fmt.Fprintf(progress, "%s: %d healthy, %d unhealthy, %d requests, open: %s\n",
				time.Since(began).Round(time.Second), r.healthy, r.unhealthy, s.requests.Load(), names(open.Load()))
		case <-end:
			running = false
		case <-ctx.Done():
			running = false
		}
	}
	r.span, r.cpu, r.requests = time.Since(began), lab.ProcessCPU()-cpu, s.requests.Load()
	return r, nil
}

// ask asks the probe once.
func (r *result) ask(ctx context.Context, s *service, open *[]detectors.Finding) error {
	status, body, err := s.probe(ctx)
	if err != nil {
		return err
	}
	if open != nil {
		for _, f := range *open {
			r.found[fmt.Sprintf("%s (%s)", f.Detector, f.Confidence)]++
		}
	}
	if status == http.StatusOK {
		r.healthy++
		if strings.HasPrefix(body, "ok: cannot judge") {
			r.blind++
		}
		return nil
	}
	r.unhealthy++
	r.first = cmp.Or(r.first, body)
	return nil
}

func names(open *[]detectors.Finding) string {
	var names []string
	if open != nil {
		for _, f := range *open {
			names = append(names, fmt.Sprintf("%s (%s): %s", f.Detector, f.Confidence, f.Message))
		}
	}
	return cmp.Or(strings.Join(names, "; "), "none")
}
