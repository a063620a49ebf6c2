package otelgoroutine

import (
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/incident"
	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/internal/report"
)

func init() {
	live.Of = func(monitor any) *live.Recorder { return monitor.(*Monitor).recorder() }
}

// recorder returns what remembers looks for the live page. It is made when it
// is first asked for, so that a service without the page pays nothing for it.
func (m *Monitor) recorder() *live.Recorder {
	if r := m.live.Load(); r != nil {
		return r
	}
	r := live.New(live.Config{Interval: m.interval, CPU: m.budget.CPU})
	if s := m.latest.Load(); s != nil {
		r.Record(live.Update{Snapshot: s, Open: report.Open(m.open())})
	}
	if !m.live.CompareAndSwap(nil, r) {
		return m.live.Load()
	}
	select {
	case <-m.stop:
		r.Close()
	default:
	}
	return r
}

// open returns the incidents that were open after the last look.
func (m *Monitor) open() []incident.Incident {
	if open := m.incidents.Load(); open != nil {
		return *open
	}
	return nil
}

func findingsOf(open []incident.Incident) []detectors.Finding {
	var findings []detectors.Finding
	for _, i := range open {
		findings = append(findings, i.Finding)
	}
	return findings
}

// record tells the live page, if there is one, about a look.
func (m *Monitor) record(s *goroutine.Snapshot, open []incident.Incident, events []incident.Event) {
	if r := m.live.Load(); r != nil {
		began := time.Now()
		u := live.Update{Snapshot: s, Open: report.Open(open)}
		for _, e := range events {
			u.Events = append(u.Events, report.EventOf(e))
		}
		r.Record(u)
		m.watch.capturer.Charge(time.Since(began))
	}
}
