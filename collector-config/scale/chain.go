// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
	"github.com/otelgoroutine/go/internal/otlptest"
)

// A chain is a Collector, the Prometheus that scrapes it, and a log store.
type chain struct {
	collector  *rig.Collector
	prometheus *rig.Prometheus
	store      *store
	meter      *meter
	idle       map[string]usage // of the processes without load

	stop []func()
}

// The names of processes in a meter.
const (
	theCollector  = "the Collector"
	thePrometheus = "Prometheus"
	theLoad       = "the load"
)

// settle is how long the processes are left alone before what they use without
// load is read.
const settle = 10 * time.Second

// startChain starts the processes, with the configuration of operators and these
// files and variables, and measures them without load.
func startChain(ctx context.Context, b bench, files []string, env ...string) (c *chain, err error) {
	b.tell("starting the Collector and Prometheus")
	c = &chain{}
	defer func() {
		if err != nil {
			c.close()
		}
	}()
	if c.store, err = startStore(); err != nil {
		return nil, err
	}
	c.stop = append(c.stop, c.store.close)
	c.collector, err = rig.StartCollector(ctx, rig.CollectorConfig{
		Program: b.program, Folder: b.folder, Files: files, Dir: b.dir, Out: rig.LogFile(b.dir, "collector.log"),
		Env: append(env, "ONWARD_ENDPOINT="+c.store.url()),
	})
	if err != nil {
		return nil, err
	}
	c.stop = append(c.stop, c.collector.Stop)
	c.prometheus, err = rig.StartPrometheus(ctx, rig.PrometheusConfig{
		Folder: b.folder, Dir: b.dir, Collector: c.collector, Hurry: 1, Out: rig.LogFile(b.dir, "prometheus.log"),
	})
	if err != nil {
		return nil, err
	}
	c.stop = append(c.stop, c.prometheus.Stop)
	return c, c.startMeter(ctx)
}

// startMeter starts to measure, and measures the processes without load.
func (c *chain) startMeter(ctx context.Context) (err error) {
	c.meter = &meter{processes: map[string]int{
		theCollector: c.collector.PID(), thePrometheus: c.prometheus.PID(), theLoad: os.Getpid(),
	}}
	running, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { defer close(ended); c.meter.run(running) }()
	c.stop = append(c.stop, func() { cancel(); <-ended })
	c.idle, err = c.meter.during(func() error { return wait(ctx, settle) })
	return err
}

// close stops everything in reverse order.
func (c *chain) close() {
	for len(c.stop) > 0 {
		last := len(c.stop) - 1
		c.stop[last]()
		c.stop = c.stop[:last]
	}
}

// measured runs do while the processes are measured. It fails at once if one of
// them ends.
func (c *chain) measured(ctx context.Context, do func(context.Context) error) (map[string]usage, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		for _, p := range []*rig.Process{c.collector.Process, c.prometheus.Process} {
			go func() {
				select {
				case <-p.Ended():
					cancel(fmt.Errorf("%s has ended; output:\n%s", p.Name(), p.Output()))
				case <-ctx.Done():
				}
			}()
		}
	}()
	used, err := c.meter.during(func() error { return do(ctx) })
	return used, errors.Join(err, context.Cause(ctx))
}

// sum returns the value of an expression that gives one series, or 0 if it gives
// none.
func (c *chain) sum(ctx context.Context, expr string) (float64, error) {
	series, err := c.prometheus.Query(ctx, expr)
	if err != nil || len(series) == 0 {
		return 0, err
	}
	text, ok := series[0].Point[1].(string)
	if !ok || len(series) > 1 {
		return 0, fmt.Errorf("%s: %d series, of which the first is %v; it must be one number", expr, len(series), series[0].Point)
	}
	return strconv.ParseFloat(text, 64)
}

// A scraped is what Prometheus gets from the Collector and keeps.
type scraped struct {
	Samples float64 // of one scrape, at most
	Seconds float64 // of the longest scrape
	Missed  float64 // scrapes that failed
	Bytes   int64   // of one scrape, compressed as Prometheus asks for it
	Series  float64 // in the head of Prometheus
}

// scraped returns what Prometheus got while a load was measured for span.
func (c *chain) scraped(ctx context.Context, span time.Duration) (s scraped, err error) {
	var errs [5]error
	over := fmt.Sprintf(`{job="services"}[%ds]`, int(max(span, time.Minute).Seconds()))
	s.Samples, errs[0] = c.sum(ctx, "max(max_over_time(scrape_samples_scraped"+over+"))")
	s.Seconds, errs[1] = c.sum(ctx, "max(max_over_time(scrape_duration_seconds"+over+"))")
	s.Missed, errs[2] = c.sum(ctx, "sum(count_over_time(up"+over+")-sum_over_time(up"+over+"))")
	s.Series, errs[3] = c.head(ctx)
	s.Bytes, errs[4] = compressed(ctx, "http://"+c.collector.Scrape+"/metrics")
	return s, errors.Join(errs[:]...)
}

// patience is how long a page of a busy Collector may take.
const patience = 2 * time.Minute

// head returns how many series Prometheus has in memory.
func (c *chain) head(ctx context.Context) (float64, error) {
	const name = "\nprometheus_tsdb_head_series "
	page, err := rig.Get(ctx, "http://"+c.prometheus.Addr+"/metrics")
	if err != nil {
		return 0, err
	}
	_, after, ok := strings.Cut(string(page), name)
	value, _, _ := strings.Cut(after, "\n")
	if !ok {
		return 0, fmt.Errorf("the metrics of Prometheus have no%s", name)
	}
	return strconv.ParseFloat(value, 64)
}

// compressed returns how many bytes a page has, compressed.
func compressed(ctx context.Context, url string) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept-Encoding", "gzip") // the client then leaves it compressed
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err == nil && response.Header.Get("Content-Encoding") == "gzip" {
		_, err = gzip.NewReader(bytes.NewReader(body))
	}
	return int64(len(body)), err
}

// A lost is what the Collector did not take, or not hand on.
type lost struct {
	Refused float64 // points and events that its receivers refused
	Failed  float64 // points and events that its exporters dropped
}

func (c *chain) lost(ctx context.Context) (l lost, err error) {
	var errs [2]error
	l.Refused, errs[0] = c.sum(ctx, `sum({__name__=~"otelcol_receiver_(refused|failed)_.+"})`)
	l.Failed, errs[1] = c.sum(ctx, `sum({__name__=~"otelcol_exporter_(send|enqueue)_failed_.+"})`)
	return l, errors.Join(errs[:]...)
}

// A store takes logs by OTLP over HTTP and counts them, in place of a log store.
type store struct {
	listener net.Listener
	server   *http.Server
	events   atomic.Int64
}

func startStore() (*store, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("log store: %w", err)
	}
	s := &store{listener: l}
	s.server = &http.Server{Handler: otlptest.Handler(s)}
	go func() { _ = s.server.Serve(l) }() // ends on close
	return s, nil
}

func (s *store) url() string { return "http://" + s.listener.Addr().String() }

func (s *store) close() { _ = s.server.Close() }

// Logs implements [otlptest.Sink].
func (s *store) Logs(_ context.Context, logs plog.Logs) error {
	s.events.Add(int64(logs.LogRecordCount()))
	return nil
}

// Metrics implements [otlptest.Sink]. No metrics are sent here.
func (s *store) Metrics(context.Context, pmetric.Metrics) error { return nil }
