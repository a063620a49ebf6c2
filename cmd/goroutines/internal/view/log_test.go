// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/report"
)

// said returns what is written, without the time of the first line.
func said(t *testing.T, json bool, write func(*Log)) string {
	t.Helper()
	var b bytes.Buffer
	l := NewLog(&b, json)
	write(l)
	require.NoError(t, l.Err())
	return strings.TrimPrefix(strings.TrimSuffix(b.String(), "\n"), now.Format(time.RFC3339)+"  ")
}

func TestLogOfChanges(t *testing.T) {
	all := four()
	ok, blind, gone := &all[0], &all[2], &all[3]
	ok.Restarts, ok.Evidence = 2, "it refused connections in between"
	candidate := &report.Candidate{Detector: "leak", Message: "main.f (main.go:1): +40/min"}
	for want, c := range map[string]struct {
		s *observe.Status
		observe.Change
	}{
		"10.0.0.1:6060  50 goroutines; no findings; all 3 detectors are judging": {ok, observe.Change{Kind: observe.Observed}},
		"checkout-7d9f8c6b5-x2x4k.shop.svc.cluster.local:6060  50 goroutines; no findings from 1 of 3 detectors; cannot judge: leak, deadlock (snapshots have no goroutine IDs); no trace: its traces have the format of go 1.22": {blind, observe.Change{Kind: observe.Judging}},
		"10.0.0.9:6060  unreachable: connection refused":                                                          {gone, observe.Change{Kind: observe.Unreachable}},
		"10.0.0.1:6060  reachable again after 3 min: 50 goroutines; no findings; all 3 detectors are judging":     {ok, observe.Change{Kind: observe.Reachable, Away: 3 * time.Minute}},
		"10.0.0.1:6060  restarted 2 times (it refused connections in between); observed from the beginning again": {ok, observe.Change{Kind: observe.Restarted}},
		"10.0.0.9:6060  snapshots are incomplete: connection refused":                                             {gone, observe.Change{Kind: observe.Incomplete}},
		"10.0.0.1:6060  snapshots are complete again":                                                             {ok, observe.Change{Kind: observe.Complete}},
		"10.0.0.1:6060  under suspicion by leak: main.f (main.go:1): +40/min":                                     {ok, observe.Change{Kind: observe.Suspected, Candidate: candidate}},
	} {
		c.Time = now
		assert.Equal(t, want, said(t, false, func(l *Log) { l.Changed(c.s, c.Change) }))

		var r Record
		require.NoError(t, json.Unmarshal([]byte(said(t, true, func(l *Log) { l.Changed(c.s, c.Change) })), &r))
		assert.Equal(t, string(c.Kind), r.Kind)
		assert.Equal(t, c.s.Name, r.Target)
		assert.Contains(t, want, r.Message)
		assert.Equal(t, c.Kind == observe.Observed || c.Kind == observe.Judging, r.Sight != nil)
	}
}

func TestLogOfEvents(t *testing.T) {
	s := leaking()
	e := detectors.Event{Kind: detectors.Detected, Time: now, Finding: s.Open[1]}
	e.Finding.Stack, e.Finding.Advice, e.Finding.Evidence = s.Snapshot.Groups[1].Stack, "Find the holder.", []string{"Nothing moved."}
	assert.Equal(t, `shop-1:6060  deadlock detected  7 goroutines at main.locked (main.go:2) are waiting for a lock (sync.Mutex.Lock) not acquired by any waiter for 60 s.
    Not judged now: the newest snapshots have no goroutine IDs.
    holder: 1 goroutine at github.com/example/shop/orders.(*Store).leak (main.go:1) in chan send: entered main.locked before the queue began
    waiting: 7 goroutines at main.locked (main.go:2) in sync.Mutex.Lock
    Nothing moved.
    Next: Find the holder.`, said(t, false, func(l *Log) { l.Event(&s, e) }))

	var r Record
	require.NoError(t, json.Unmarshal([]byte(said(t, true, func(l *Log) { l.Event(&s, e) })), &r))
	assert.Equal(t, []any{"event", Findings, 3, "deadlock", "detected", "Find the holder."}, []any{r.Kind, r.Condition, r.Findings, r.Event.Detector, r.Event.Kind, r.Finding.Advice})
	assert.NotContains(t, r.Message, "\x1b")

	suppressed := event(detectors.Suppressed, 0).Event
	assert.Contains(t, said(t, false, func(l *Log) { l.Event(&s, suppressed) }), "3 open findings are not reported one by one.")
	assert.NotContains(t, said(t, true, func(l *Log) { l.Event(&s, suppressed) }), `"finding":`)
}

func TestLogOfStatus(t *testing.T) {
	all := four()
	assert.Equal(t, "4 processes: 1 unreachable, 1 with findings, 1 not fully judged, 1 ok", said(t, false, func(l *Log) { l.Status(all, now) }))
	assert.Equal(t, "10.0.0.1:6060  50 goroutines; no findings; all 3 detectors are judging", said(t, false, func(l *Log) { l.Status(all[:1], now) }))
	assert.Equal(t, "1 process: 1 unreachable", said(t, false, func(l *Log) { l.Status(all[3:], now) }))
	lines := strings.Split(said(t, true, func(l *Log) { l.Status(all, now) }), "\n")
	require.Len(t, lines, 4)
	for i, class := range []Class{OK, Findings, CannotJudge, Unreachable} {
		var r Record
		require.NoError(t, json.Unmarshal([]byte(lines[i]), &r))
		assert.Equal(t, []any{"status", class, conditions[i]}, []any{r.Kind, r.Condition, r.Message})
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestLogWithoutAReader(t *testing.T) {
	for _, json := range []bool{false, true} {
		l := NewLog(brokenPipe{}, json)
		l.Status(four(), now)
		assert.EqualError(t, l.Err(), "broken pipe")
	}
}

// docs/watch.md lists all fields, kinds and conditions.
func TestTheRecordIsDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../../docs/watch.md")
	require.NoError(t, err)
	record := reflect.TypeFor[Record]()
	for i := range record.NumField() {
		name, _, _ := strings.Cut(record.Field(i).Tag.Get("json"), ",")
		assert.Contains(t, string(doc), "| `"+name+"` | ")
	}
	for _, kind := range []observe.Kind{observe.Observed, observe.Unreachable, observe.Reachable, observe.Restarted, observe.Incomplete, observe.Complete, observe.Judging, observe.Suspected, "event", "status"} {
		assert.Contains(t, string(doc), "`"+string(kind)+"`")
	}
	for _, c := range classes {
		assert.Contains(t, string(doc), "`"+string(c.class)+"`")
	}
}
