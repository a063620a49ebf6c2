// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var opened = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// stuck is a health with a hang that has been open for so long.
func stuck(age time.Duration) otelgoroutine.Health {
	f := &detectors.Finding{ID: "0123456789abcdef", Detector: "hang", Confidence: detectors.High, Count: 27, Opened: opened,
		Message: "secret", Evidence: []string{"secret"}, Subject: "0xc000123456"}
	return otelgoroutine.Health{
		Reason:  "hang (high) at main.work (main.go:7): 27 goroutines stand, open for 6 min",
		Finding: f, Since: opened, Age: age,
	}
}

// ask sends a request to a handler for a health. The last arguments are values of
// Accept.
func ask(of otelgoroutine.Health, after time.Duration, method string, accept ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "/livez", nil)
	for _, a := range accept {
		r.Header.Add("Accept", a)
	}
	w := httptest.NewRecorder()
	handler{health: func() otelgoroutine.Health { return of }, after: after}.ServeHTTP(w, r)
	return w
}

func TestAnAnswerIsOneLine(t *testing.T) {
	blind := otelgoroutine.Health{OK: true, Blind: "hang, deadlock, stall (the monitor was shut down)"}
	for name, tc := range map[string]struct {
		of   otelgoroutine.Health
		code int
		body string
	}{
		"healthy":         {otelgoroutine.Health{OK: true}, 200, "ok\n"},
		"blind":           {blind, 200, "ok: cannot judge now: hang, deadlock, stall (the monitor was shut down)\n"},
		"not long enough": {stuck(5*time.Minute - 1), 200, "ok: not for long enough to be unhealthy: hang (high) at main.work (main.go:7): 27 goroutines stand, open for 6 min\n"},
		"unhealthy":       {stuck(5 * time.Minute), 503, "unhealthy: hang (high) at main.work (main.go:7): 27 goroutines stand, open for 6 min\n"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(tc.of, DefaultUnhealthyAfter, http.MethodGet)
			assert.Equal(t, tc.code, w.Code)
			assert.Equal(t, tc.body, w.Body.String())
			assert.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))

			head := ask(tc.of, DefaultUnhealthyAfter, http.MethodHead)
			assert.Equal(t, tc.code, head.Code)
			assert.Empty(t, head.Body.String())
			assert.Equal(t, w.Header().Get("Content-Length"), head.Header().Get("Content-Length"))
		})
	}
}

func TestAnAnswerAsJSON(t *testing.T) {
	for accept, want := range map[string]bool{
		"application/json":                true,
		"application/json; charset=utf-8": true,
		"text/html, application/json":     false,
		"application/json, text/plain":    true,
		"application/json;q=0, */*":       false,
		"*/*":                             false,
		"":                                false,
		", ;=, application/json":          true,
		strings.Repeat("image/png, ", 100) + "x/\"y": false,
	} {
		w := ask(stuck(time.Hour), DefaultUnhealthyAfter, http.MethodGet, accept)
		assert.Equal(t, want, json.Valid(w.Body.Bytes()), accept)
	}

	w := ask(stuck(6*time.Minute), DefaultUnhealthyAfter, http.MethodGet, "image/png", "application/json")
	assert.Equal(t, 503, w.Code)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	assert.JSONEq(t, `{
		"status": "unhealthy",
		"reason": "hang (high) at main.work (main.go:7): 27 goroutines stand, open for 6 min",
		"finding": {"id": "0123456789abcdef", "detector": "hang", "confidence": "high", "goroutines": 27,
			"since": "2026-03-01T12:00:00Z", "age": 360, "unhealthy_after": 300}
	}`, w.Body.String())
	w = ask(otelgoroutine.Health{OK: true, Blind: "no monitor was started"}, 0, http.MethodGet, "application/json")
	assert.JSONEq(t, `{"status": "ok", "blind": "no monitor was started"}`, w.Body.String())
}

func TestOnlyGetAndHead(t *testing.T) {
	w := ask(stuck(time.Hour), 0, http.MethodPost)
	assert.Equal(t, http.StatusMethodNotAllowed, w.Code)
	assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
}

func TestNothingPrivateIsInAnAnswer(t *testing.T) {
	for _, accept := range []string{"text/plain", "application/json"} {
		body := ask(stuck(time.Hour), 0, http.MethodGet, accept).Body.String()
		assert.NotContains(t, body, "secret")
		assert.NotContains(t, body, "0x")
	}
}

func TestTheAgeHasLimits(t *testing.T) {
	for d, want := range map[time.Duration]time.Duration{
		-time.Second: 0, 0: 0, time.Minute: time.Minute, 25 * time.Hour: MaxUnhealthyAfter,
	} {
		assert.Equal(t, want, Handler(nil, nil, WithUnhealthyAfter(d)).(handler).after)
	}
	assert.Equal(t, DefaultUnhealthyAfter, Handler(nil).(handler).after)
}

func get(h http.Handler) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/livez", nil))
	return w
}

func TestWithoutAMonitorItIsHealthy(t *testing.T) {
	for _, m := range []*otelgoroutine.Monitor{nil, new(otelgoroutine.Monitor)} {
		w := get(Handler(m))
		assert.Equal(t, 200, w.Code)
		assert.Equal(t, "ok: cannot judge now: no monitor was started\n", w.Body.String())
	}
}

// TestOfAMonitor has a detector that finds a hang in the first snapshot.
func TestOfAMonitor(t *testing.T) {
	found := make(chan struct{})
	var once sync.Once
	hang := &detectors.Detector{Name: "hang", Doc: "Finds one.", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: 3, Message: "It hangs."})
		return nil
	}}
	m, err := otelgoroutine.Start(noop.NewMeterProvider(), otelgoroutine.WithDetectors(hang))
	require.NoError(t, err)
	h := Handler(m, WithUnhealthyAfter(0))
	stop := m.Subscribe(func(u otelgoroutine.Update) { // until then, nothing hears the monitor
		if len(u.Open) > 0 {
			once.Do(func() { close(found) })
		}
	})
	<-found
	stop()
	w := get(h)
	assert.Equal(t, 503, w.Code)
	assert.Regexp(t, `^unhealthy: hang \(high\) at .*: 3 goroutines stand, open for 0 s\n$`, w.Body.String())
	assert.Equal(t, 200, get(Handler(m)).Code, "not for five minutes yet")

	require.NoError(t, m.Shutdown(t.Context()))
	w = get(h)
	assert.Equal(t, 200, w.Code)
	assert.Contains(t, w.Body.String(), "ok: cannot judge now: hang (the monitor was shut down)")
}
