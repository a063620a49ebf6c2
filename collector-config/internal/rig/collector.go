// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
)

// Combinations lists the ways in which the Collector's files are combined.
// Later files override earlier ones.
var Combinations = [][]string{
	{"otel-collector.yaml"},
	{"otel-collector.yaml", "remote-write.yaml"},
	{"otel-collector.yaml", "traces.yaml"},
	{"otel-collector.yaml", "receiver.yaml"},
	{"kubernetes/base/collector.yaml"},
	{"agent.yaml"},
	{"otel-collector.yaml", "gateway.yaml"},
	{"otel-collector.yaml", "gateway.yaml", "remote-write.yaml"},
}

// A CollectorConfig says how to run a Collector.
type CollectorConfig struct {
	Program string   // path returned by BuildCollector
	Folder  string   // folder of the configuration files
	Files   []string // names of the files to use; later files override earlier ones
	Dir     string   // folder for the files that it writes
	Out     io.Writer

	// OTLP is the address for OTLP over gRPC, and Scrape the address for
	// Prometheus. If one is empty, a free address is chosen. All other
	// addresses are always chosen.
	OTLP, Scrape string

	// Env has further variables for the files, for example
	// "EVENTS_FILE=/tmp/e.jsonl".
	Env []string
}

// A Collector is a running Collector.
type Collector struct {
	*Process
	OTLP   string // address of the OTLP receiver, over gRPC
	Scrape string // address that Prometheus scrapes
	Own    string // address of its own metrics
	Events string // file that events are written to
}

// StartCollector starts a Collector and waits until it is ready.
func StartCollector(ctx context.Context, c CollectorConfig) (*Collector, error) {
	col := &Collector{OTLP: orFree(c.OTLP), Scrape: orFree(c.Scrape), Own: orFree(""), Events: filepath.Join(c.Dir, "events.jsonl")}
	health := orFree("")
	host, port, _ := strings.Cut(col.Own, ":")
	env := append([]string{
		"HEALTH_ENDPOINT=" + health,
		"OTLP_GRPC_ENDPOINT=" + col.OTLP,
		"OTLP_HTTP_ENDPOINT=" + orFree(""),
		"PROMETHEUS_ENDPOINT=" + col.Scrape,
		"TELEMETRY_HOST=" + host,
		"TELEMETRY_PORT=" + port,
		"EVENTS_FILE=" + col.Events,
		"QUEUE_DIR=" + filepath.Join(c.Dir, "queue"),
	}, c.Env...)
	var err error
	if col.Process, err = start("the Collector", c.Out, env, c.Program, c.args()...); err != nil {
		return nil, err
	}
	if err = col.waitFor(ctx, answers("http://"+health)); err != nil {
		col.Stop()
		return nil, err
	}
	return col, nil
}

func (c CollectorConfig) args() []string {
	var args []string
	for _, f := range c.Files {
		if !strings.Contains(f, ":") && !filepath.IsAbs(f) { // yaml:… is passed on unchanged
			f = filepath.Join(c.Folder, f)
		}
		args = append(args, "--config", f)
	}
	return args
}

// Validate checks whether the Collector would start with these files. If not,
// it returns the Collector's message.
func (c CollectorConfig) Validate(ctx context.Context) error {
	_, err := run(ctx, c.Dir, c.Env, c.Program, append([]string{"validate"}, c.args()...)...)
	return err
}

// answers returns a check that a URL answers with status 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := Get(ctx, url)
		return err
	}
}

// Get returns the body of a response with status 200.
func Get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", url, res.Status, body)
	}
	return body, err
}
