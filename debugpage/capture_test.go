// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// capturing returns a monitor with a budget for captures, and its directory.
func capturing(t *testing.T) (*otelgoroutine.Monitor, string) {
	t.Helper()
	dir := t.TempDir()
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MaxInterval),
		otelgoroutine.WithProfileDir(dir, 10), otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	return m, dir
}

func post(h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	r := request(http.MethodPost, path)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func saved(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*-request.*"))
	require.NoError(t, err)
	return names
}

func TestACaptureOverHTTP(t *testing.T) {
	m, dir := capturing(t)
	page := Handler(m)
	w := post(page, "/debug/goroutines/capture")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	assert.Contains(t, w.Header().Get("Content-Disposition"), ".pb.gz")
	p, err := profile.Parse(w.Body)
	require.NoError(t, err)
	assert.NotEmpty(t, p.Sample)
	require.NotEmpty(t, saved(t, dir))

	w = post(page, "/capture", "Accept", "application/json") // within the second, the same one
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	var c captured
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &c))
	assert.Positive(t, c.Total)
	require.NotEmpty(t, c.Files)
	assert.Equal(t, "profile", c.Files[0].Kind)
	for _, f := range c.Files {
		assert.Equal(t, filepath.Join(dir, f.Name), f.Path)
		assert.FileExists(t, f.Path)
	}
}

// Nothing but a POST request of the page itself or of a program takes a snapshot.
func TestWhatTakesNoSnapshot(t *testing.T) {
	m, dir := capturing(t)
	page := Handler(m, WithHosts("debug.example.com"))
	for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut, http.MethodDelete} {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, request(method, "/capture"))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		assert.Equal(t, "POST", w.Header().Get("Allow"))
	}
	assert.Equal(t, http.StatusMethodNotAllowed, post(page, "/data.json").Code)
	for what, headers := range map[string][]string{
		"fetch of another site":             {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"},
		"a form of another site":            {"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a form on another port":            {"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document"},
		"a form, in the cluster":            {"Origin", "http://evil.example"},
		"a form in a sandbox":               {"Origin", "null"},
		"a form of another site's protocol": {"Origin", "file://"},
	} {
		assert.Equal(t, http.StatusForbidden, post(page, "/capture", headers...).Code, what)
	}
	r := request(http.MethodPost, "/capture")
	r.Host = "evil.example:6060"
	r.Header.Set("Sec-Fetch-Site", "same-origin") // DNS rebinding
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	assert.Equal(t, http.StatusForbidden, w.Code)
	assert.Empty(t, saved(t, dir))
	assert.Equal(t, http.StatusOK, post(page, "/capture", "Sec-Fetch-Site", "same-origin", "Sec-Fetch-Mode", "cors", "Origin", "http://localhost:6060").Code, "the page")
}

func TestAReadOnlyPageHasNoCapture(t *testing.T) {
	m, dir := capturing(t)
	assert.Contains(t, get(t, Handler(m), "/").Body.String(), `id="capture"`)
	page := Handler(m, WithReadOnly())
	assert.Equal(t, http.StatusNotFound, post(page, "/capture").Code)
	index := get(t, page, "/").Body.String()
	assert.NotContains(t, index, "capture")
	assert.Contains(t, index, `id="pause"`)
	assert.Empty(t, saved(t, dir))
}

func TestACaptureThatIsRefusedSaysWhy(t *testing.T) {
	m, dir := capturing(t)
	page := Handler(m)
	require.NoError(t, m.Shutdown(t.Context()))
	w := post(page, "/capture")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "debugpage: otelgoroutine: Capture: the monitor was shut down\n", w.Body.String())
	assert.NotEmpty(t, w.Header().Get("Retry-After"))
	assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Empty(t, entries)
	assert.Equal(t, http.StatusServiceUnavailable, post(Handler(nil), "/capture").Code)
}
