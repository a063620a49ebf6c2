// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
)

// A running is a Manager that runs for the duration of a test.
type running struct {
	*Manager
	updates chan Update
	logs    *observer.ObservedLogs
	stop    func() // ends it and waits
	last    Update
}

func run(t *testing.T, most int, yaml string) *running {
	t.Helper()
	core, logs := observer.New(zap.InfoLevel)
	m, err := New(jobs(t, yaml), Options{Logger: zap.New(core), MaxTargets: most})
	require.NoError(t, err)
	r := &running{Manager: m, updates: make(chan Update), logs: logs}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- m.Run(ctx, func(u Update) {
			select {
			case r.updates <- u:
			case <-ctx.Done():
			}
		})
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(t, <-ended)
	})
	t.Cleanup(r.stop)
	return r
}

// await waits for an update with these URLs.
func (r *running) await(t *testing.T, want ...string) Update {
	t.Helper()
	if want == nil {
		want = []string{}
	}
	return r.until(t, func(u Update) bool { return slices.Equal(urls(u), want) })
}

func (r *running) until(t *testing.T, ok func(Update) bool) Update {
	t.Helper()
	for u := range r.updates {
		r.last = u
		if ok(u) {
			return u
		}
	}
	return Update{}
}

func at(addresses ...string) []string {
	all := []string{}
	for _, a := range addresses {
		all = append(all, "http://"+a+"/debug/pprof/")
	}
	return all
}

func TestStatic(t *testing.T) {
	r := run(t, 2, `
discovery:
  - job_name: b
    static_configs: [{targets: ["b:1", "a:1"]}]
  - job_name: a
    static_configs: [{targets: ["c:1", "http://d:1"]}]
`)
	u := r.await(t, at("a:1", "b:1")...)
	assert.Equal(t, counts{invalid: 1, beyond: 1}, u.counts())
	r.stop()
	var said []string
	for _, l := range r.logs.All() {
		said = append(said, l.Message)
	}
	assert.Len(t, said, 2)
	assert.Contains(t, fmt.Sprint(said), "cannot be read and is left out")
	assert.Contains(t, fmt.Sprint(said), "Raise max_targets")
}

func TestFilesAreWatched(t *testing.T) {
	dir := t.TempDir()
	write := func(name, yaml string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path+".new", []byte(yaml), 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	write("a.yaml", `[{targets: ["a:1", "b:1"], labels: {team: x}}]`)
	// Prometheus misses a change between its first reading and its watch, and reads
	// again after the interval.
	r := run(t, 10, fmt.Sprintf("discovery: [{job_name: f, file_sd_configs: [{files: [%s], refresh_interval: 1s}]}]", filepath.Join(dir, "*.yaml")))
	u := r.await(t, at("a:1", "b:1")...)
	assert.Equal(t, map[string]string{"job": "f", "instance": "a:1", "team": "x"}, u.Targets[0].Labels)
	assert.Equal(t, filepath.Join(dir, "a.yaml"), u.Targets[0].Discovered["__meta_filepath"])

	write("b.yaml", `[{targets: ["c:1"]}]`)
	r.await(t, at("a:1", "b:1", "c:1")...)
	write("a.yaml", `[{targets: ["b:1"]}]`)
	r.await(t, at("b:1", "c:1")...)
	require.NoError(t, os.Remove(filepath.Join(dir, "b.yaml")))
	r.await(t, at("b:1")...)
	write("a.yaml", `[]`)
	r.await(t)
}

func TestHTTP(t *testing.T) {
	var mu sync.Mutex
	answer := `[{"targets": ["a:1"], "labels": {"team": "x"}}]`
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "u" || password != "0123" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, answer)
	}))
	t.Cleanup(server.Close)
	r := run(t, 10, fmt.Sprintf(`
discovery:
  - job_name: h
    http_sd_configs: [{url: "%s/targets", refresh_interval: 10ms, basic_auth: {username: u, password: "${OCTAL}"}}]
`, server.URL))
	u := r.await(t, at("a:1")...)
	assert.Equal(t, "x", u.Targets[0].Labels["team"])
	mu.Lock()
	answer = `[{"targets": ["b:1"]}]`
	mu.Unlock()
	r.await(t, at("b:1")...)
}

// A server that fails keeps its targets, and is told in the log.
func TestFailuresAreToldWithTheJob(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	core, logs := observer.New(zap.InfoLevel)
	told := make(chan struct{}, 100)
	log := zap.New(core, zap.Hooks(func(zapcore.Entry) error { told <- struct{}{}; return nil }))
	m, err := New(jobs(t, fmt.Sprintf(`discovery: [{job_name: h, http_sd_configs: [{url: %q}]}]`, server.URL)), Options{Logger: log, MaxTargets: 1})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- m.Run(ctx, func(Update) {}) }()
	<-told
	cancel()
	require.NoError(t, <-done)
	entry := logs.All()[0]
	assert.Equal(t, "h", entry.ContextMap()["config"])
	assert.Contains(t, entry.ContextMap()["err"], "404 Not Found")
}

// A consul is the part of the API of Consul that service discovery uses.
type fakeConsul struct {
	mu       sync.Mutex
	index    int
	services map[string][]string // addresses
	changed  chan struct{}
}

func (c *fakeConsul) set(services map[string][]string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index++
	c.services = services
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *fakeConsul) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("X-Consul-Token") != "0123" {
		http.Error(w, "Permission denied", http.StatusForbidden)
		return
	}
	if r.URL.Path == "/v1/agent/self" {
		fmt.Fprint(w, `{"Config": {"Datacenter": "dc1"}}`)
		return
	}
	seen, _ := strconv.Atoi(r.URL.Query().Get("index"))
	c.mu.Lock()
	for seen >= c.index { // a blocking query
		changed := c.changed
		c.mu.Unlock()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	w.Header().Set("X-Consul-Index", strconv.Itoa(c.index))
	if name, one := strings.CutPrefix(r.URL.Path, "/v1/health/service/"); one {
		_ = json.NewEncoder(w).Encode(c.health(name))
		return
	}
	all := make(map[string][]string)
	for name := range c.services {
		all[name] = []string{"pprof"}
	}
	_ = json.NewEncoder(w).Encode(all)
}

func (c *fakeConsul) health(name string) []map[string]any {
	all := []map[string]any{}
	for _, a := range c.services[name] {
		host, port, _ := net.SplitHostPort(a)
		number, _ := strconv.Atoi(port)
		all = append(all, map[string]any{
			"Node":    map[string]any{"Node": "n1", "Address": "10.0.0.1"},
			"Service": map[string]any{"ID": a, "Service": name, "Address": host, "Port": number, "Tags": []string{"pprof"}},
			"Checks":  []map[string]any{{"Status": "passing"}},
		})
	}
	return all
}

func TestConsul(t *testing.T) {
	c := &fakeConsul{changed: make(chan struct{})}
	c.set(map[string][]string{"shop": {"a:1"}, "bank": {"b:1"}})
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections)
	r := run(t, 10, fmt.Sprintf(`
discovery:
  - job_name: c
    consul_sd_configs: [{server: %q, token: "${OCTAL}", refresh_interval: 10ms}]
    relabel_configs:
      - {source_labels: [__meta_consul_service], target_label: job}
      - {source_labels: [__meta_consul_dc], target_label: datacenter}
`, strings.TrimPrefix(server.URL, "http://")))
	u := r.await(t, at("a:1", "b:1")...)
	assert.Equal(t, map[string]string{"job": "shop", "instance": "a:1", "datacenter": "dc1"}, u.Targets[0].Labels)
	c.set(map[string][]string{"shop": {"a:1", "a:2"}, "bank": {"b:1"}})
	r.await(t, at("a:1", "a:2", "b:1")...)
	c.set(map[string][]string{"shop": {"a:2"}})
	r.await(t, at("a:2")...)
}

func TestDocker(t *testing.T) {
	dir, err := os.MkdirTemp("", "d") // the path of a socket is short
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	var mu sync.Mutex
	address := "10.0.0.1"
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Api-Version", "1.44")
		switch {
		case strings.HasSuffix(r.URL.Path, "/containers/json"):
			fmt.Fprintf(w, `[{"Id": "1", "Names": ["/shop"], "Labels": {"team": "x"},
				"Ports": [{"PrivatePort": 6060, "Type": "tcp"}, {"PrivatePort": 53, "Type": "udp"}],
				"HostConfig": {"NetworkMode": "bridge"},
				"NetworkSettings": {"Networks": {"bridge": {"NetworkID": "n", "IPAddress": %q}}}}]`, address)
		case strings.HasSuffix(r.URL.Path, "/networks"):
			fmt.Fprint(w, `[{"Id": "n", "Name": "bridge"}]`)
		}
	}))
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	r := run(t, 10, fmt.Sprintf(`
discovery:
  - job_name: d
    docker_sd_configs: [{host: "unix://%s", refresh_interval: 50ms}]
    relabel_configs:
      - {source_labels: [__meta_docker_container_label_team], target_label: team}
`, socket))
	u := r.await(t, at("10.0.0.1:6060")...)
	assert.Equal(t, "x", u.Targets[0].Labels["team"])
	assert.Equal(t, "/shop", u.Targets[0].Discovered["__meta_docker_container_name"])
	mu.Lock()
	address = "10.0.0.2"
	mu.Unlock()
	r.await(t, at("10.0.0.2:6060")...)
}

// Two receivers of one Collector have the same metrics of Prometheus.
func TestManagersShareNothing(t *testing.T) {
	global := prometheus.DefaultRegisterer
	only := prometheus.NewRegistry()
	prometheus.DefaultRegisterer = only
	t.Cleanup(func() { prometheus.DefaultRegisterer = global })
	const yaml = `discovery: [{job_name: a, static_configs: [{targets: ["a:1"]}], file_sd_configs: [{files: [none/*.yaml]}], docker_sd_configs: [{host: "unix:///none"}]}]`
	a, b := run(t, 10, yaml), run(t, 10, yaml)
	a.await(t, at("a:1")...)
	b.await(t, at("a:1")...)
	families, err := only.Gather()
	require.NoError(t, err)
	assert.Empty(t, families)
}

func TestManagersRunOnce(t *testing.T) {
	r := run(t, 1, `discovery: [{job_name: a, static_configs: [{targets: ["a:1"]}]}]`)
	r.await(t, at("a:1")...)
	assert.ErrorContains(t, r.Run(t.Context(), func(Update) {}), "Run was called before; make a new Manager")
}

func TestNothingIsLeft(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a.json"), []byte(`[{"targets": ["b:1"]}]`), 0o600))
	r := run(t, 10, fmt.Sprintf(`
discovery: [{job_name: a, static_configs: [{targets: ["a:1"]}], file_sd_configs: [{files: [%s]}]}]`, filepath.Join(dir, "a.json")))
	r.await(t, at("a:1", "b:1")...)
	r.stop()
}

func TestWhatCannotRunIsAnErrorAtOnce(t *testing.T) {
	good := jobs(t, `discovery: [{job_name: a, static_configs: [{targets: ["a:1"]}]}]`)
	_, err := New(nil, Options{MaxTargets: 1})
	assert.EqualError(t, err, "no jobs of discovery; there must be at least one")
	_, err = New(good, Options{})
	assert.EqualError(t, err, "the greatest number of targets is 0; it must be at least 1")
	_, err = New(append(good, good...), Options{MaxTargets: 1})
	assert.ErrorContains(t, err, `two jobs of discovery have the job_name "a"`)

	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err = New(jobs(t, `discovery: [{job_name: pods, kubernetes_sd_configs: [{role: pod}]}]`), Options{MaxTargets: 1})
	assert.ErrorContains(t, err, `discovery, job "pods": kubernetes service discovery cannot run: unable to load in-cluster configuration`)
	_, err = New(jobs(t, `discovery: [{job_name: pods, kubernetes_sd_configs: [{role: pod, kubeconfig_file: none/here}]}]`), Options{MaxTargets: 1})
	assert.ErrorContains(t, err, "none/here")
}
