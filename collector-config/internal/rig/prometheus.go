// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ErrNoPrometheus says how to install Prometheus if it is missing.
var ErrNoPrometheus = errors.New("Prometheus is not installed; on Debian: apt-get install prometheus")

// FindPrometheus returns the paths of prometheus and promtool.
func FindPrometheus() (prometheus, promtool string, err error) {
	prometheus, err = exec.LookPath("prometheus")
	promtool, err2 := exec.LookPath("promtool")
	if err != nil || err2 != nil {
		return "", "", ErrNoPrometheus
	}
	return prometheus, promtool, nil
}

// A PrometheusConfig says how to run Prometheus.
type PrometheusConfig struct {
	Folder    string // contains the configuration and alerts.yaml
	Dir       string // for the files that it writes
	Collector *Collector
	Out       io.Writer

	// Addr is the address of its web page. If it is empty, a free address is
	// chosen.
	Addr string

	// Hurry divides the times in the two files: with 60, a minute becomes a
	// second. It must be at least 1. Scrapes are never less than a second
	// apart.
	Hurry float64

	// RemoteWrite enables the receiver for remote write.
	RemoteWrite bool

	// Program is the path of prometheus. If it is empty, the installed one is
	// run.
	Program string

	// OTLP makes it receive OTLP, with prometheus-otlp.yaml. The program must be
	// Prometheus 3.
	OTLP bool
}

// A Prometheus is a running Prometheus.
type Prometheus struct {
	*Process
	Addr string
}

// OTLP returns the variables that make an OpenTelemetry SDK export its metrics to
// this Prometheus.
func (p *Prometheus) OTLP() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL=http/protobuf",
		"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=http://" + p.Addr + "/api/v1/otlp/v1/metrics",
	}
}

// StartPrometheus starts Prometheus with the files for operators. It replaces
// the Collector's addresses in them and divides the times. It waits until
// Prometheus is ready.
func StartPrometheus(ctx context.Context, c PrometheusConfig) (*Prometheus, error) {
	program, err := c.Program, error(nil)
	if program == "" {
		program, _, err = FindPrometheus()
	}
	if err != nil {
		return nil, err
	}
	if err := c.writeFiles(); err != nil {
		return nil, err
	}
	p := &Prometheus{Addr: orFree(c.Addr)}
	args := []string{
		"--config.file=" + filepath.Join(c.Dir, c.file()),
		"--storage.tsdb.path=" + filepath.Join(c.Dir, "prometheus"),
		"--web.listen-address=" + p.Addr,
		"--log.level=warn",
	}
	if c.RemoteWrite {
		args = append(args, "--web.enable-remote-write-receiver")
	}
	if c.OTLP {
		args = append(args, "--web.enable-otlp-receiver")
	}
	if p.Process, err = start("Prometheus", c.Out, nil, program, args...); err != nil {
		return nil, err
	}
	if err := p.waitFor(ctx, answers("http://"+p.Addr+"/-/ready")); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}

// file returns the name of the configuration.
func (c PrometheusConfig) file() string {
	if c.OTLP {
		return "prometheus-otlp.yaml"
	}
	return "prometheus.yaml"
}

func (c PrometheusConfig) writeFiles() error {
	addresses := strings.NewReplacer("localhost:8889", "127.0.0.1:1", "localhost:8888", "127.0.0.1:1")
	if c.Collector != nil {
		addresses = strings.NewReplacer("localhost:8889", c.Collector.Scrape, "localhost:8888", c.Collector.Own)
	}
	for _, name := range []string{c.file(), "alerts.yaml"} {
		text, err := os.ReadFile(filepath.Join(c.Folder, name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(c.Dir, name), []byte(Hurry(addresses.Replace(string(text)), c.Hurry)), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// timeInFile matches the times that Prometheus interprets: after "for:",
// "interval:" and "offset", and in brackets, where a colon may separate two.
var timeInFile = regexp.MustCompile(`(for: |interval: |offset |\[|:)(\d+)([smhd])\b`)

// units are the units of time in Prometheus that the files use.
var units = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}

// Hurry divides the times in a file for Prometheus. No time becomes less than a
// second.
func Hurry(text string, by float64) string {
	return timeInFile.ReplaceAllStringFunc(text, func(s string) string {
		m := timeInFile.FindStringSubmatch(s)
		n, err := strconv.Atoi(m[2])
		if err != nil {
			return s
		}
		d := time.Duration(n) * units[m[3]]
		d = max(time.Second, time.Duration(float64(d)/by).Round(time.Second))
		return fmt.Sprintf("%s%ds", m[1], int(d.Seconds()))
	})
}

// A Series is one result of a query.
type Series struct {
	Labels map[string]string `json:"metric"`
	Point  [2]any            `json:"value"` // time in seconds, and the value as text
}

// Query evaluates an expression at the current time.
func (p *Prometheus) Query(ctx context.Context, expr string) ([]Series, error) {
	var data struct{ Result []Series }
	err := p.api(ctx, "query?query="+url.QueryEscape(expr), &data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	return data.Result, nil
}

// QueryRange evaluates an expression at every step of the time since start, and
// returns the series that have a value at any of them.
func (p *Prometheus) QueryRange(ctx context.Context, expr string, start time.Time, step time.Duration) ([]Series, error) {
	var data struct{ Result []Series }
	at := func(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
	query := url.Values{"query": {expr}, "start": {at(start)}, "end": {at(time.Now())}, "step": {step.String()}}
	err := p.api(ctx, "query_range?"+query.Encode(), &data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expr, err)
	}
	return data.Result, nil
}

// An Alert is a pending or firing alert.
type Alert struct {
	Labels, Annotations map[string]string
	State               string
}

// Alerts returns the pending and firing alerts.
func (p *Prometheus) Alerts(ctx context.Context) ([]Alert, error) {
	var data struct{ Alerts []Alert }
	err := p.api(ctx, "alerts", &data)
	return data.Alerts, err
}

// FailedRules returns the errors of alerting rules that could not be evaluated,
// by rule name.
func (p *Prometheus) FailedRules(ctx context.Context) (map[string]string, error) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Health, LastError string }
		}
	}
	err := p.api(ctx, "rules", &data)
	failed := make(map[string]string)
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			if r.Health == "err" {
				failed[r.Name] = r.LastError
			}
		}
	}
	return failed, err
}

func (p *Prometheus) api(ctx context.Context, path string, data any) error {
	body, err := Get(ctx, "http://"+p.Addr+"/api/v1/"+path)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, &struct {
		Data any `json:"data"`
	}{data})
}
