// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched returns a monitor that has taken one snapshot and takes no more.
func watched(t *testing.T) *otelgoroutine.Monitor {
	t.Helper()
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MaxInterval))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	delivered := make(chan struct{}) // as pages get it, which is after Snapshot returns it
	var once sync.Once
	defer m.Subscribe(func(u otelgoroutine.Update) {
		if u.Snapshot != nil {
			once.Do(func() { close(delivered) })
		}
	})()
	<-delivered
	return m
}

// again returns the monitor's snapshot as if it had been taken a second later,
// with more goroutines.
func again(m *otelgoroutine.Monitor, more int) *goroutine.Snapshot {
	s := *m.Snapshot()
	s.Time = s.Time.Add(time.Second)
	s.Groups = append([]goroutine.Group(nil), s.Groups...)
	s.Groups[0].Count += more
	s.Total += more
	return &s
}

// serve serves the page of a monitor until the test's streams are closed.
func serve(t *testing.T, m *otelgoroutine.Monitor) (*live.Recorder, *httptest.Server) {
	t.Helper()
	p := Handler(m).(*page)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p.Recorder(), server
}

// request returns a request as a server gets it from this machine.
func request(method, path string) *http.Request {
	r := httptest.NewRequest(method, path, nil)
	r.Host = "localhost:6060"
	return r
}

func get(t *testing.T, h http.Handler, path string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := request(http.MethodGet, path)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestUnderAnyPrefix(t *testing.T) {
	page := Handler(watched(t))
	mux := http.NewServeMux()
	mux.Handle("/debug/goroutines/", page)
	mux.Handle("/stripped/", http.StripPrefix("/stripped", page))
	mux.Handle("/bare/", http.StripPrefix("/bare/", page))
	mux.Handle("/exact", http.StripPrefix("/exact", page))
	root := http.NewServeMux()
	root.Handle("/", page)
	for _, tt := range []struct {
		mux    http.Handler
		prefix string
	}{{mux, "/debug/goroutines/"}, {mux, "/stripped/"}, {mux, "/bare/"}, {root, "/"}} {
		for name, kind := range map[string]string{
			"": "text/html", "page.js": "text/javascript", "page.css": "text/css", "icon.svg": "image/svg+xml",
			"data.json": "application/json", "report.txt": "text/plain", "snapshot.pb.gz": "application/octet-stream",
		} {
			w := get(t, tt.mux, tt.prefix+name)
			assert.Equal(t, http.StatusOK, w.Code, tt.prefix+name)
			assert.True(t, strings.HasPrefix(w.Header().Get("Content-Type"), kind), "%s: %s", name, w.Header())
			assert.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
			assert.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
			assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		}
	}
	w := get(t, mux, "/exact?x=1")
	assert.Equal(t, http.StatusTemporaryRedirect, w.Code)
	assert.Equal(t, "./exact/", w.Header().Get("Location"), "the prefix is not known")
}

func TestRefusalsSayWhy(t *testing.T) {
	page := Handler(watched(t))
	for _, tt := range []struct {
		path    string
		headers []string
		status  int
		text    string
	}{
		{"/nothing", nil, http.StatusNotFound, `no resource "nothing"`},
		{"/stack.json", nil, http.StatusBadRequest, "must be the number of a stack"},
		{"/stack.json?n=x", nil, http.StatusBadRequest, "must be the number of a stack"},
		{"/stack.json?n=99999", nil, http.StatusNotFound, "stack 99999 does not exist"},
		{"/stream", nil, http.StatusBadRequest, "must be the seq"},
		{"/stream?since=-1", nil, http.StatusBadRequest, "must be the seq"},
		{"/" + strings.Repeat("x", 1<<20), nil, http.StatusNotFound, strings.Repeat("x", maxQuoted) + `"…`},
	} {
		w := get(t, page, tt.path, tt.headers...)
		assert.Equal(t, tt.status, w.Code, tt.path)
		assert.Contains(t, w.Body.String(), tt.text, tt.path)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch} {
		w := httptest.NewRecorder()
		page.ServeHTTP(w, request(method, "/data.json"))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
		assert.Equal(t, "GET, HEAD", w.Header().Get("Allow"))
	}
	w := httptest.NewRecorder()
	page.ServeHTTP(w, request(http.MethodHead, "/data.json"))
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Empty(t, w.Body.String())
}

func TestWithoutAMonitor(t *testing.T) {
	for problem, monitor := range map[string]*otelgoroutine.Monitor{"is nil": nil, "was not started": {}} {
		for _, name := range []string{"/", "/data.json", "/stream?since=0", "/snapshot.pb.gz", "/report.txt"} {
			w := get(t, Handler(monitor), name)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Contains(t, w.Body.String(), problem+"; it must be one that otelgoroutine.Start returned")
			assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
		}
	}
}

func TestTheDataIsTheSnapshot(t *testing.T) {
	m := watched(t)
	var v everything
	require.NoError(t, json.Unmarshal(get(t, Handler(m, WithName("shop"), nil), "/data.json").Body.Bytes(), &v))
	s := m.Snapshot()
	assert.Equal(t, s.Total, v.Total)
	assert.Equal(t, "shop", v.Program.Name)
	assert.Equal(t, os.Getpid(), v.Program.PID)
	total := 0
	for _, g := range v.Stacks {
		total += g.Count
		for _, i := range g.Calls {
			require.Less(t, i, len(v.Frames))
		}
	}
	assert.Equal(t, s.Total, total)

	var d live.Detail
	require.NoError(t, json.Unmarshal(get(t, Handler(m), "/stack.json?n="+strconv.Itoa(v.Stacks[0].Number)).Body.Bytes(), &d))
	assert.Equal(t, v.Stacks[0].ID, d.ID)
	assert.Len(t, d.Frames, len(v.Stacks[0].Calls))
}

func TestCompressionAndCaching(t *testing.T) {
	page := Handler(watched(t))
	plain := get(t, page, "/page.js")
	assert.Empty(t, plain.Header().Get("Content-Encoding"))
	packed := get(t, page, "/page.js", "Accept-Encoding", "br, gzip")
	require.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	assert.Less(t, packed.Body.Len(), plain.Body.Len()/2)
	z, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	unpacked, err := io.ReadAll(z)
	require.NoError(t, err)
	assert.Equal(t, plain.Body.String(), string(unpacked))
	assert.Equal(t, http.StatusNotModified, get(t, page, "/page.js", "If-None-Match", plain.Header().Get("ETag")).Code)
	assert.Equal(t, "no-store", get(t, page, "/data.json").Header().Get("Cache-Control"))

	for header, want := range map[string]bool{"gzip": true, "gzip;q=0": false, "gzip; q=0.0": false, "gzip;q=0.5": true, "br": false, "": false, "deflate, gzip": true} {
		assert.Equal(t, want, acceptsGzip(http.Header{"Accept-Encoding": {header}}), header)
	}
}

func TestTheProfileOpensInPprof(t *testing.T) {
	w := get(t, Handler(watched(t)), "/snapshot.pb.gz")
	assert.Regexp(t, `^attachment; filename="goroutines-\d{8}T\d{6}Z\.pb\.gz"$`, w.Header().Get("Content-Disposition"))
	path := filepath.Join(t.TempDir(), "p.pb.gz")
	require.NoError(t, os.WriteFile(path, w.Body.Bytes(), 0o600))
	out, err := exec.Command("go", "tool", "pprof", "-top", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Contains(t, string(out), "Type: goroutine")
}

func TestLabelsAreNotInTheProfile(t *testing.T) {
	s := &goroutine.Snapshot{Groups: []goroutine.Group{{Stack: goroutine.NewStack(nil), Labels: []goroutine.Label{{Key: "k", Value: "SECRET"}}}}}
	assert.Nil(t, withoutLabels(s).Groups[0].Labels)
	assert.NotNil(t, s.Groups[0].Labels, "the snapshot is shared: it stays as it is")
}

// A stream is what a browser receives.
type stream struct {
	response *http.Response
	lines    *bufio.Scanner
}

func openStream(t *testing.T, url string, headers ...string) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	t.Cleanup(func() { response.Body.Close(); http.DefaultClient.CloseIdleConnections() })
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 10<<20)
	return &stream{response, lines}
}

// next returns the next event other than counts, which come each second. Its name is
// empty if the stream has ended.
func (s *stream) next() (name, data string) {
	for s.lines.Scan() {
		switch line := s.lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			name = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data = line[len("data: "):]
		case line == "" && name == "counts":
			name = ""
		case line == "" && name != "":
			return name, data
		}
	}
	return "", ""
}

func (s *stream) change(t *testing.T) live.View {
	t.Helper()
	name, data := s.next()
	require.Equal(t, "change", name)
	var v live.View
	require.NoError(t, json.Unmarshal([]byte(data), &v))
	return v
}

func TestStreamOfChanges(t *testing.T) {
	m := watched(t)
	recorder, server := serve(t, m)
	since := recorder.View().Seq
	s := openStream(t, server.URL+"/stream?since="+strconv.FormatUint(since, 10))
	assert.Equal(t, "text/event-stream", s.response.Header.Get("Content-Type"))

	recorder.Record(live.Update{Snapshot: again(m, 3)})
	v := s.change(t)
	assert.Equal(t, since+1, v.Seq)
	assert.Equal(t, m.Snapshot().Total+3, v.Total)
	recorder.Record(live.Update{Snapshot: again(m, 5)})
	assert.Equal(t, m.Snapshot().Total+5, s.change(t).Total)

	back := openStream(t, server.URL+"/stream?since=0", "Last-Event-ID", strconv.FormatUint(since+1, 10))
	assert.Equal(t, m.Snapshot().Total+5, back.change(t).Total, "missed changes come at once")

	strange := openStream(t, server.URL+"/stream?since=99999")
	recorder.Record(live.Update{Snapshot: again(m, 6)})
	recorder.Close()
	for v := s.change(t); !v.Stopped; {
		v = s.change(t)
	}
	name, _ := s.next()
	assert.Empty(t, name, "the monitor was shut down: the stream ends")
	strange.response.Body.Close()
}

func TestAStreamOfAnotherProcessReloads(t *testing.T) {
	m := watched(t)
	recorder, server := serve(t, m)
	for range 300 {
		recorder.Record(live.Update{Snapshot: again(m, 1)})
	}
	s := openStream(t, server.URL+"/stream?since=1")
	name, _ := s.next()
	assert.Equal(t, "reload", name)
	name, _ = s.next()
	assert.Empty(t, name)
}

func TestStreamsAreBounded(t *testing.T) {
	server := httptest.NewServer(Handler(watched(t), WithStreams(2)))
	t.Cleanup(server.Close) // after the streams
	url := server.URL + "/stream?since=1"
	first, second := openStream(t, url), openStream(t, url)
	assert.Equal(t, http.StatusOK, first.response.StatusCode)
	assert.Equal(t, http.StatusOK, second.response.StatusCode)
	third := openStream(t, url)
	assert.Equal(t, http.StatusServiceUnavailable, third.response.StatusCode)
	assert.NotEmpty(t, third.response.Header.Get("Retry-After"))
	first.response.Body.Close()
	assert.Eventually(t, func() bool { return openStream(t, url).response.StatusCode == http.StatusOK }, time.Minute, 10*time.Millisecond,
		"a closed stream makes room")
}

func TestAnOpenPageDoesNotHoldUpTheServersShutdown(t *testing.T) {
	server := httptest.NewServer(Handler(watched(t)))
	t.Cleanup(server.Close) // after the streams
	streams := []*stream{openStream(t, server.URL+"/stream?since=1"), openStream(t, server.URL+"/stream?since=1")}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	require.NoError(t, server.Config.Shutdown(ctx))
	require.NoError(t, server.Config.Shutdown(ctx), "again")
	for _, s := range streams {
		name, _ := s.next()
		assert.Equal(t, "end", name)
	}
}

func TestAServersWriteTimeoutDoesNotEndAStream(t *testing.T) {
	m := watched(t)
	p := Handler(m).(*page)
	server := httptest.NewUnstartedServer(p)
	server.Config.WriteTimeout = 50 * time.Millisecond
	server.Start()
	t.Cleanup(server.Close) // after the streams
	s := openStream(t, server.URL+"/stream?since="+strconv.FormatUint(p.recorder.View().Seq, 10))
	time.Sleep(100 * time.Millisecond) // longer than the timeout
	p.recorder.Record(live.Update{Snapshot: again(m, 3)})
	assert.Equal(t, m.Snapshot().Total+3, s.change(t).Total)
	s.response.Body.Close()
}

func TestTheMonitorFeedsThePage(t *testing.T) {
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MinInterval),
		otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: 10 * time.Millisecond}))
	require.NoError(t, err)
	p := Handler(m)
	server := httptest.NewServer(p)
	t.Cleanup(server.Close) // after the streams
	s := openStream(t, server.URL+"/stream?since=0")
	snapshots := uint64(0)
	for snapshots < 3 {
		snapshots = s.change(t).Cost.Snapshots
	}
	require.NoError(t, m.Shutdown(t.Context()))
	for v := s.change(t); !v.Stopped; {
		v = s.change(t)
	}
	var v everything
	require.NoError(t, json.Unmarshal(get(t, p, "/data.json").Body.Bytes(), &v))
	assert.True(t, v.Stopped, "the page of a monitor that was shut down shows its last state")
	assert.GreaterOrEqual(t, v.Cost.Snapshots, snapshots)
}

// A service that creates a handler for each request must not accumulate
// recorders.
func TestADroppedHandlerIsCollected(t *testing.T) {
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MinInterval))
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, m.Shutdown(context.Background())) })
	recorder := weak.Make(Handler(m).(*page).Recorder())
	require.Eventually(t, func() bool { runtime.GC(); return recorder.Value() == nil }, time.Minute, 10*time.Millisecond)
}

func TestOptionsStayWithinTheirBounds(t *testing.T) {
	assert.Equal(t, DefaultStreams, newConfig(nil).streams)
	assert.Equal(t, 1, newConfig([]Option{WithStreams(-3)}).streams)
	assert.Equal(t, MaxStreams, newConfig([]Option{WithStreams(1 << 30)}).streams)
	assert.Len(t, newConfig([]Option{WithName(strings.Repeat("x", 1000))}).name, maxName)
	assert.NotEmpty(t, programOf("").Name)
}

func TestConcurrentSafe(t *testing.T) {
	m := watched(t)
	p := Handler(m).(*page)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 20 {
				p.recorder.Record(live.Update{Snapshot: again(m, i)})
				for _, name := range []string{"/", "/data.json", "/stack.json?n=1", "/snapshot.pb.gz", "/report.txt"} {
					r := request(http.MethodGet, name)
					p.ServeHTTP(httptest.NewRecorder(), r)
				}
			}
		})
	}
	wg.Wait()
}
