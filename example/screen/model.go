// Package screen shows OTLP metrics and events of otelgoroutine in a terminal.
//
// A [Model] is a sink for what a receiver takes in and knows nothing but that:
// what it shows is what any backend is given. A [Screen] paints it.
package screen

import (
	"maps"
	"sync"
	"time"

	collogs "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	colmetrics "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	logs "go.opentelemetry.io/proto/otlp/logs/v1"
	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// maxPending is how many events wait for being shown at most.
const maxPending = 1000

// A Model holds the latest point of every metric series that arrived, and the
// events that were not shown yet. It is safe for concurrent use.
type Model struct {
	mu      sync.Mutex
	latest  map[string][]point // by metric name: the points of the latest collection with goroutines
	pending []Event
	counts  Counts
}

// Counts is how much arrived.
type Counts struct {
	Collections int            // requests with metrics
	Points      int            // metric data points in them
	Events      map[string]int // log records, by event name
}

// NewModel returns an empty model.
func NewModel() *Model {
	return &Model{latest: make(map[string][]point), counts: Counts{Events: make(map[string]int)}}
}

// Metrics takes in a collection.
func (m *Model) Metrics(req *colmetrics.ExportMetricsServiceRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.counts.Collections++
	collected := make(map[string][]point)
	for _, resource := range req.GetResourceMetrics() {
		for _, scope := range resource.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				points := pointsOf(metric)
				collected[metric.GetName()] = points
				m.counts.Points += len(points)
			}
		}
	}
	// The last collection of a program comes when the monitor has ended.
	if len(collected["goroutine.count"]) > 0 {
		m.latest = collected
	}
}

// Logs takes in log records.
func (m *Model) Logs(req *collogs.ExportLogsServiceRequest) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, resource := range req.GetResourceLogs() {
		for _, scope := range resource.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				m.add(record)
			}
		}
	}
}

func (m *Model) add(record *logs.LogRecord) {
	m.counts.Events[record.GetEventName()]++
	if len(m.pending) < maxPending {
		m.pending = append(m.pending, eventOf(record))
	}
}

// Counts returns how much arrived so far.
func (m *Model) Counts() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	counts := m.counts
	counts.Events = maps.Clone(counts.Events)
	return counts
}

// takeEvents returns the events that arrived since the last call.
func (m *Model) takeEvents() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	events := m.pending
	m.pending = nil
	return events
}

// A point is one data point, with its attributes by name.
type point struct {
	attributes map[string]string
	value      float64
}

func pointsOf(metric *metrics.Metric) []point {
	switch data := metric.GetData().(type) {
	case *metrics.Metric_Sum:
		return numbers(data.Sum.GetDataPoints())
	case *metrics.Metric_Gauge:
		return numbers(data.Gauge.GetDataPoints())
	case *metrics.Metric_Histogram:
		return histograms(data.Histogram.GetDataPoints())
	}
	return nil
}

func numbers(data []*metrics.NumberDataPoint) []point {
	points := make([]point, 0, len(data))
	for _, d := range data {
		value := d.GetAsDouble()
		if whole, ok := d.GetValue().(*metrics.NumberDataPoint_AsInt); ok {
			value = float64(whole.AsInt)
		}
		points = append(points, point{attributesOf(d.GetAttributes()), value})
	}
	return points
}

// histograms takes the mean for the value.
func histograms(data []*metrics.HistogramDataPoint) []point {
	points := make([]point, 0, len(data))
	for _, d := range data {
		mean := d.GetSum() / max(1, float64(d.GetCount()))
		points = append(points, point{attributesOf(d.GetAttributes()), mean})
	}
	return points
}

// An Event is a log record with an event name.
type Event struct {
	Time       time.Time
	Name       string
	Severity   string
	Body       string
	Attributes map[string]string
}

func eventOf(record *logs.LogRecord) Event {
	return Event{
		Time:       time.Unix(0, int64(record.GetTimeUnixNano())),
		Name:       record.GetEventName(),
		Severity:   severity(record),
		Body:       text(record.GetBody()),
		Attributes: attributesOf(record.GetAttributes()),
	}
}

// severity prefers the text of the severity to the name of its range.
func severity(record *logs.LogRecord) string {
	if s := record.GetSeverityText(); s != "" {
		return s
	}
	ranges := [...]string{"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"}
	if n := int(record.GetSeverityNumber()) - 1; n >= 0 && n/4 < len(ranges) {
		return ranges[n/4]
	}
	return "-"
}
