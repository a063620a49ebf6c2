package rig

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
)

// Combinations are the ways in which the files for the Collector are used, later
// ones on top.
var Combinations = [][]string{
	{"otel-collector.yaml"},
	{"otel-collector.yaml", "remote-write.yaml"},
	{"agent.yaml"},
	{"otel-collector.yaml", "gateway.yaml"},
	{"otel-collector.yaml", "gateway.yaml", "remote-write.yaml"},
}

// A CollectorConfig says how a Collector is to run.
type CollectorConfig struct {
	Program string   // of BuildCollector
	Folder  string   // where the configuration files are
	Files   []string // the names of those to use, later ones on top
	Dir     string   // for what it writes
	Out     io.Writer

	// OTLP is the address for OTLP over gRPC and Scrape the one for Prometheus;
	// a free one is chosen where they are empty. The others are always chosen.
	OTLP, Scrape string

	// Env has further variables of the files, as in "EVENTS_FILE=/tmp/e.jsonl".
	Env []string
}

// A Collector is a Collector that runs.
type Collector struct {
	*Process
	OTLP   string // address of the receiver of OTLP over gRPC
	Scrape string // address that Prometheus scrapes
	Own    string // address of its metrics about itself
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
		if !strings.Contains(f, ":") && !filepath.IsAbs(f) { // yaml:… goes as it is
			f = filepath.Join(c.Folder, f)
		}
		args = append(args, "--config", f)
	}
	return args
}

// Validate asks the Collector whether it would start with these files, and
// returns its message when it would not.
func (c CollectorConfig) Validate(ctx context.Context) error {
	_, err := run(ctx, c.Dir, c.Env, c.Program, append([]string{"validate"}, c.args()...)...)
	return err
}

// answers returns a check that a URL answers with 200.
func answers(url string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := Get(ctx, url)
		return err
	}
}

// Get returns the body of an answer with status 200.
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
