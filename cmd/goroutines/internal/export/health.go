package export

import (
	"context"
	"sync"
	"time"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
)

// A State is how an export is going.
type State struct {
	Err   error         // why it fails; nil if it works again
	After time.Duration // for how long it had failed, if it works again
	Lost  int           // events that were given up meanwhile
}

// Health follows the exports of all exporters of an endpoint: metrics and events of
// many processes fail together, and are told once.
type Health struct {
	tell func(State)

	mu      sync.Mutex
	failing map[any]error // by exporter of a signal
	since   time.Time
	lost    int
}

// NewHealth returns a Health. tell is called when exports begin to fail and when
// all work again, one call at a time. It must not block for long.
func NewHealth(tell func(State)) *Health {
	return &Health{tell: tell, failing: make(map[any]error)}
}

// Err returns why exports fail at the moment, or nil.
func (h *Health) Err() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, err := range h.failing {
		return err
	}
	return nil
}

// Quiet ends the calls of tell: what fails from now on is returned by Shutdown.
func (h *Health) Quiet() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tell = func(State) {}
}

// result records how an export ended. events is how many it was about.
func (h *Health) result(of any, err error, events int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before := len(h.failing)
	if err == nil {
		delete(h.failing, of)
		if before > 0 && len(h.failing) == 0 {
			h.tell(State{After: time.Since(h.since), Lost: h.lost})
			h.lost = 0
		}
		return
	}
	h.lost += events
	h.failing[of] = err
	if before == 0 {
		h.since = time.Now()
		h.tell(State{Err: err})
	}
}

// A metricExporter reports its results to a Health rather than to the SDK, which
// would print an error at every interval.
type metricExporter struct {
	sdkmetric.Exporter
	health *Health
}

func (e *metricExporter) Export(ctx context.Context, m *metricdata.ResourceMetrics) error {
	e.health.result(e, e.Exporter.Export(ctx, m), 0)
	return nil
}

// A logExporter is the same for events.
type logExporter struct {
	sdklog.Exporter
	health *Health
}

func (e *logExporter) Export(ctx context.Context, records []sdklog.Record) error {
	e.health.result(e, e.Exporter.Export(ctx, records), len(records))
	return nil
}
