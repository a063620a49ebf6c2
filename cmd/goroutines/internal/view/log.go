// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/words"
)

// A Log writes what happens to processes, where there is no screen: as text, or as
// one JSON object a line. It is not safe for concurrent use.
type Log struct {
	w    io.Writer
	json bool
	err  error // of the first write that failed
}

// NewLog returns a log. It has no colours.
func NewLog(w io.Writer, json bool) *Log {
	return &Log{w: w, json: json}
}

// Err returns the error of the first write that failed.
func (l *Log) Err() error { return l.err }

// A Record is a line of the log as JSON.
type Record struct {
	Schema     string    `json:"schema_version"`
	Time       time.Time `json:"time"`
	Target     string    `json:"target"`
	Kind       string    `json:"kind"`      // observed, unreachable, reachable, restarted, incomplete, complete, judging, suspected, event or status
	Message    string    `json:"message"`   // the same as the fields, in words
	Condition  Class     `json:"condition"` // ok, not_yet, suspected, cannot_judge, findings or unreachable
	Goroutines int       `json:"goroutines"`
	Findings   int       `json:"findings"` // that are open
	Restarts   int       `json:"restarts,omitempty"`
	Error      string    `json:"error,omitempty"`    // why the latest attempt gave no snapshot or only a part
	NoTrace    string    `json:"no_trace,omitempty"` // why there are no traces, and with them no goroutine IDs

	Sight     *report.Sight     `json:"sight,omitempty"`     // what can be judged; in observed, judging and status
	Candidate *report.Candidate `json:"candidate,omitempty"` // in suspected
	Event     *report.Event     `json:"event,omitempty"`     // in event
	Finding   *report.Finding   `json:"finding,omitempty"`   // in event, except suppressed
}

// Changed writes a change.
func (l *Log) Changed(s *observe.Status, c observe.Change) {
	r := recordOf(s, string(c.Kind), c.Time)
	r.Message, r.Candidate = changeText(s, c), c.Candidate
	if c.Kind == observe.Observed || c.Kind == observe.Judging {
		r.Sight = report.SightOf(s.Sight)
	}
	l.write(r, nil)
}

// Event writes an event, with what is said about its finding.
func (l *Log) Event(s *observe.Status, e detectors.Event) {
	r := recordOf(s, "event", e.Time)
	event := report.EventOf(e)
	r.Event, r.Message = &event, ansi.Strip(eventText(e))
	if e.Kind == detectors.Suppressed {
		l.write(r, nil)
		return
	}
	r.Finding = &report.Findings([]detectors.Finding{e.Finding})[0]
	l.write(r, details(r.Finding))
}

// Status writes the state of all processes, which shows that the watch goes on: one
// line as text.
func (l *Log) Status(all []observe.Status, now time.Time) {
	if !l.json {
		text := Summary(all, now)
		if len(all) == 1 && all[0].Snapshot != nil && !all[0].Unreachable() {
			text = host(all[0].Name) + "  " + state(&all[0])
		}
		l.line(now, text)
		return
	}
	for i := range all {
		r := recordOf(&all[i], "status", now)
		r.Message, r.Sight = conditionOf(&all[i], now).text, report.SightOf(all[i].Sight)
		l.write(r, nil)
	}
}

func recordOf(s *observe.Status, kind string, at time.Time) *Record {
	r := &Record{
		Schema: report.SchemaVersion, Time: at, Target: s.Name, Kind: kind, Condition: conditionOf(s, at).class,
		Findings: len(s.Open), Restarts: s.Restarts, NoTrace: s.NoTrace, Error: s.Why(),
	}
	if s.Snapshot != nil && !s.Unreachable() {
		r.Goroutines = s.Snapshot.Total
	}
	return r
}

func (l *Log) write(r *Record, details []string) {
	if l.json {
		data, err := json.Marshal(r)
		if err == nil {
			_, err = l.w.Write(append(data, '\n'))
		}
		l.failed(err)
		return
	}
	l.line(r.Time, host(r.Target)+"  "+r.Message)
	for _, d := range details {
		_, err := fmt.Fprintln(l.w, "    "+d)
		l.failed(err)
	}
}

func (l *Log) line(at time.Time, text string) {
	_, err := fmt.Fprintln(l.w, at.Format(time.RFC3339)+"  "+text)
	l.failed(err)
}

func (l *Log) failed(err error) {
	if l.err == nil {
		l.err = err
	}
}

// changeText describes a change in one line.
func changeText(s *observe.Status, c observe.Change) string {
	switch c.Kind {
	case observe.Unreachable:
		return "unreachable: " + s.Why()
	case observe.Reachable:
		return "reachable again after " + words.Span(c.Away) + ": " + state(s)
	case observe.Restarted:
		return restarts(s) + "; observed from the beginning again"
	case observe.Incomplete:
		return "snapshots are incomplete: " + s.Why()
	case observe.Complete:
		return "snapshots are complete again"
	case observe.Suspected:
		return "under suspicion by " + c.Candidate.String()
	}
	return state(s)
}

// state says what is known of a process that can be reached.
func state(s *observe.Status) string {
	seen := report.SightOf(s.Sight)
	cannot, waiting := seen.Split()
	text := words.Plural(s.Snapshot.Total, "goroutine") + "; " + seen.Count(len(s.Open))
	if seen.All() {
		text += fmt.Sprintf("; all %d detectors are judging", seen.Judging)
	}
	if gaps := cannot.Gaps(); len(gaps) > 0 {
		text += "; cannot judge: " + strings.Join(gaps, "; ")
	}
	if s.NoTrace != "" {
		text += "; no trace: " + s.NoTrace
	}
	if len(waiting.Detectors) > 0 {
		text += "; more snapshots are needed by " + strings.Join(waiting.Names(), ", ")
	}
	return text
}

// details returns what is said about a finding beside its message.
func details(f *report.Finding) (lines []string) {
	if f.Unjudged != "" {
		lines = append(lines, "Not judged now: "+f.Unjudged+".")
	}
	for i := range f.Participants {
		lines = append(lines, f.Participants[i].String())
	}
	lines = append(lines, f.Evidence...)
	if f.Advice != "" {
		lines = append(lines, "Next: "+f.Advice)
	}
	return lines
}
