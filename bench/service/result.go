package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/otelgoroutine/go/bench/internal/lab"
	ours "github.com/otelgoroutine/go/internal/telemetry"
)

// A report is one run of this program.
type report struct {
	Machine   lab.Machine   `json:"machine"`
	Started   time.Time     `json:"started"`
	Took      time.Duration `json:"took"`
	Command   string        `json:"command"`
	Seed      uint64        `json:"seed"`
	Scenarios []scenario    `json:"scenarios"`
	Checks    []lab.Verdict `json:"checks"`
}

// A measurement is what was measured in one run. Durations are in
// nanoseconds, memory in bytes. What the server used is in it.
type measurement struct {
	Variant string `json:"variant"`
	Load    string `json:"load"`
	Round   int    `json:"round"`

	Requests   int           `json:"requests"`
	Errors     int           `json:"errors"`
	Error      string        `json:"error,omitempty"` // the first
	Elapsed    time.Duration `json:"elapsed"`
	Throughput float64       `json:"throughput"` // requests a second
	P50        time.Duration `json:"p50"`
	P99        time.Duration `json:"p99"`
	P999       time.Duration `json:"p99_9"`
	Max        time.Duration `json:"max"`

	consumption

	GeneratorCPU time.Duration `json:"generator_cpu"`
	Late         time.Duration `json:"late"` // p99 of how late requests were handed to a connection; steady load only

	Snapshots map[string]int `json:"snapshots,omitempty"` // within the measured time, by source
	Skipped   map[string]int `json:"skipped,omitempty"`   // within the measured time, by source and reason
	Seen      int64          `json:"seen"`                // goroutines that the last snapshot counted
	Arrived   arrived        `json:"arrived"`             // at the receiver, since the server started
}

func newMeasurement(p plan, l loaded, u consumption) measurement {
	m := measurement{
		Variant: p.Variant, Load: p.Load, Round: p.Round,
		Requests: l.requests, Errors: l.errors, Elapsed: l.elapsed,
		Throughput: float64(l.requests-l.errors) / l.elapsed.Seconds(),
		P50:        quantile(l.latency, 50), P99: quantile(l.latency, 99), P999: quantile(l.latency, 99.9),
		Max:         time.Duration(l.latency.Max()) * time.Microsecond,
		consumption: u,
	}
	if l.err != nil {
		m.Error = l.err.Error()
	}
	if l.late != nil {
		m.Late = quantile(l.late, 99)
	}
	return m
}

func quantile(h *hdrhistogram.Histogram, percent float64) time.Duration {
	return time.Duration(h.ValueAtQuantile(percent)) * time.Microsecond
}

// observed tells from what arrived how many snapshots were taken in between. The
// collection of the export that ends the measured time is not counted.
func (m *measurement) observed(before, after arrived) {
	m.Arrived = after
	m.Snapshots, m.Skipped = difference(after.Snapshots, before.Snapshots), difference(after.Skipped, before.Skipped)
	if m.Snapshots[collection] > 0 {
		m.Snapshots[collection]--
	}
	m.Seen = after.Latest[countMetric[m.Variant]]
}

// countMetric is the metric in which a variant counts goroutines.
var countMetric = map[string]string{on: ours.MetricCount, contribOnly: contribCount, naiveDump: naiveCount}

// regular is what a variant's snapshots are called; it has none where it is "".
var regular = map[string]string{on: "trace", contribOnly: collection, naiveDump: dump}

func difference(after, before map[string]int) map[string]int {
	d := make(map[string]int)
	for key, n := range after {
		if n > before[key] {
			d[key] = n - before[key]
		}
	}
	return d
}

// line is a measurement in short.
func (m *measurement) line() string {
	text := fmt.Sprintf("%.0f/s, p50 %s, p99 %s, max %s, CPU %.0f %% of a core, generator %.0f %%",
		m.Throughput, lab.Duration(m.P50), lab.Duration(m.P99), lab.Duration(m.Max), 100*cores(m), 100*m.GeneratorCPU.Seconds()/m.Elapsed.Seconds())
	if m.Late > 0 {
		text += fmt.Sprintf(", sent late %s", lab.Duration(m.Late))
	}
	if source := regular[m.Variant]; source != "" {
		text += fmt.Sprintf(", snapshots: %d", m.Snapshots[source])
	}
	if m.Errors > 0 {
		text += fmt.Sprintf(", %d errors: %s", m.Errors, m.Error)
	}
	return text
}

// of returns the measurement of a variant in a round, or nil.
func (s *scenario) of(load, variant string, round int) *measurement {
	for i := range s.Runs {
		if m := &s.Runs[i]; m.Load == load && m.Variant == variant && m.Round == round {
			return m
		}
	}
	return nil
}

// values returns a figure of a variant, of each round in which it was measured.
func (s *scenario) values(load, variant string, f figure) (values []float64) {
	for round := range s.Rounds {
		if m := s.of(load, variant, round); m != nil {
			values = append(values, f(m))
		}
	}
	return values
}

// ratios returns a figure of a variant in parts of that of off, of each round
// in which both were measured and off is not 0.
func (s *scenario) ratios(load, variant string, f figure) (ratios []float64) {
	for round := range s.Rounds {
		m, base := s.of(load, variant, round), s.of(load, off, round)
		if m != nil && base != nil && f(base) != 0 {
			ratios = append(ratios, f(m)/f(base))
		}
	}
	return ratios
}

// A figure is something that is measured.
type figure func(*measurement) float64

func throughput(m *measurement) float64 { return m.Throughput }
func p50(m *measurement) float64        { return m.P50.Seconds() }
func p99(m *measurement) float64        { return m.P99.Seconds() }
func p999(m *measurement) float64       { return m.P999.Seconds() }
func longest(m *measurement) float64    { return m.Max.Seconds() }
func cores(m *measurement) float64      { return m.CPU.Seconds() / m.Elapsed.Seconds() }
func perRequest(m *measurement) float64 { return m.CPU.Seconds() / float64(max(m.Requests, 1)) }
func resident(m *measurement) float64   { return float64(m.Resident) }
func peak(m *measurement) float64       { return float64(m.Peak) }
func gcs(m *measurement) float64        { return float64(m.GCs) }
func seen(m *measurement) float64       { return float64(m.Seen) }

// median returns the middle value, or the mean of the middle two. There must be
// values.
func median(values []float64) float64 {
	values = slices.Sorted(slices.Values(values))
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// compared are the modules whose versions a reader needs.
var compared = []string{
	"github.com/DataDog/gostackparse", "github.com/valyala/fasthttp",
	"go.opentelemetry.io/contrib/instrumentation/runtime", "go.opentelemetry.io/otel/sdk/metric",
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc", "go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc",
	"modernc.org/sqlite",
}
