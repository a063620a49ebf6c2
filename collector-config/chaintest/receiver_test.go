// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// receiverHurry is how much faster the detectors of the receiver are than with the
// defaults. Its shortest interval is a second, and the detectors need several
// snapshots.
const receiverHurry = 20

// podsConfig is what an operator adds to receiver.yaml: a second receiver, for pods
// with a port of the name pprof.
const podsConfig = `
receivers:
  goroutine:
    initial_delay: 0s
    timeout: 5s
    time_scale: %[1]v
    tls:
      ca_file: %[2]q
  goroutine/pods:
    collection_interval: 1s
    initial_delay: 0s
    time_scale: %[1]v
    resource_attributes:
      k8s.cluster.name: east
    discovery:
      - job_name: pods
        kubernetes_sd_configs:
          - role: pod
            kubeconfig_file: %[3]q
        relabel_configs:
          - source_labels: [__meta_kubernetes_pod_container_port_name]
            regex: pprof
            action: keep
          - source_labels: [__meta_kubernetes_pod_label_app]
            target_label: job
          - source_labels: [__meta_kubernetes_pod_name]
            target_label: instance
service:
  pipelines:
    metrics:
      receivers: [otlp, count/events, goroutine, goroutine/pods]
    logs:
      receivers: [otlp, goroutine, goroutine/pods]
    logs/goroutines:
      receivers: [otlp, goroutine, goroutine/pods]
`

// Services that were not rebuilt are observed by a Collector: one that leaks is in a
// file of targets; one that hangs and one that restarts are pods. Beside them are
// targets that cannot be observed, each for another reason.
func TestReceiver(t *testing.T) {
	t.Parallel()
	leaks, hangs, restarts := rig.Free(), rig.Free(), rig.Free()
	startUnmodified(t, leaks, "leak")
	startUnmodified(t, hangs, "hang")
	first := startUnmodified(t, restarts, "none")
	pods := startCluster(t)
	pods.start(t, "hangs-0", "press", hangs)
	pods.start(t, "restarts-0", "shop", restarts)
	bad := startBad(t)
	col := startReceiving(t, pods, bad.certificate, append(bad.groups(),
		targets{[]string{leaks}, map[string]string{"job": "reports", "team": "books"}}))
	prom := startPrometheus(t, rig.PrometheusConfig{Collector: col, Hurry: receiverHurry})

	for _, target := range bad.all {
		eventually(t, target.name, func() error { return told(col, target.address, target.why) })
	}
	eventually(t, "the count of targets", func() error {
		return targetsByState(t, col, map[string]int{"observed": 3, "unreachable": len(bad.all)})
	})

	fires(t, prom, "GoroutineHang", "hangs-0", "main.(*press).work")
	fires(t, prom, "GoroutineLeak", leaks, "main.report.func1")
	assertResources(t, prom, leaks)

	first.Stop()
	startUnmodified(t, restarts, "none")
	eventually(t, "the restart", func() error { return told(col, restarts, "restarted") })
	series(t, prom, `sum by (instance) (goroutine_count{job="shop", instance="restarts-0"}) > 0`)

	pods.end(t, "hangs-0", "press", hangs)
	eventually(t, "the end of the pod", func() error { return told(col, hangs, "gone") })
	eventually(t, "the end of its finding", func() error { return has(eventsIn(t, col.Events), "goroutine.hang.resolved", "hangs-0") })
	eventually(t, "the end of its series", func() error { return noSeries(t, prom, "hangs-0") })

	eventually(t, "what is left", func() error {
		return targetsByState(t, col, map[string]int{"observed": 2, "unreachable": len(bad.all)})
	})
	fires(t, prom, "GoroutineLeak", leaks, "main.report.func1")
	eventually(t, "the events in the file", func() error { return has(eventsIn(t, col.Events), "goroutine.leak.detected", leaks) })
	assert.NoError(t, has(eventsIn(t, col.Events), "goroutine.hang.detected", "hangs-0"))
	for _, e := range eventsIn(t, col.Events) {
		if e.name == "goroutine.leak.detected" {
			assertComplete(t, e)
		}
	}
}

// startUnmodified starts a service without otelgoroutine that runs until the end of
// the test.
func startUnmodified(t *testing.T, address, faults string) *rig.Process {
	t.Helper()
	p, err := rig.StartUnmodified(t.Context(), rig.UnmodifiedConfig{
		Program: build(t).example, Addr: address, Faults: faults, Out: io.Discard})
	require.NoError(t, err)
	t.Cleanup(func() { stop(t, p) })
	return p
}

// targets is a group of a file of targets.
type targets struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// startReceiving starts a Collector that observes the targets of a file and the pods
// of a cluster.
func startReceiving(t *testing.T, pods *cluster, certificate []byte, groups []targets) *rig.Collector {
	t.Helper()
	dir := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	list, err := json.Marshal(groups)
	require.NoError(t, err)
	config := fmt.Sprintf(podsConfig, 1.0/receiverHurry, file("ca.pem", certificate), pods.kubeconfig)
	return startCollector(t, rig.CollectorConfig{
		Files: []string{"otel-collector.yaml", "receiver.yaml", file("pods.yaml", []byte(config))},
		Dir:   dir,
		Env:   []string{newStore(t).env(), "SNAPSHOT_INTERVAL=1s", "TARGETS_FILE=" + file("targets.json", list)},
	})
}

// told returns an error unless the Collector has logged, in one line, a target and
// something about it.
func told(col *rig.Collector, address, what string) error {
	for line := range strings.Lines(col.Output()) {
		if strings.Contains(line, address) && strings.Contains(line, what) {
			return nil
		}
	}
	return fmt.Errorf("the log does not say %q of %s", what, address)
}

// targetsLine matches what the Collector's own metrics say of targets in a state.
var targetsLine = regexp.MustCompile(`(?m)^otelcol_goroutine_receiver_targets\{[^}]*\bstate="(\w+)"[^}]*\} (\d+)$`)

// targetsByState returns an error unless the receivers together count as many targets
// in each state.
func targetsByState(t *testing.T, col *rig.Collector, want map[string]int) error {
	t.Helper()
	text, err := rig.Get(t.Context(), "http://"+col.Own+"/metrics")
	if err != nil {
		return err
	}
	got := make(map[string]int)
	for _, m := range targetsLine.FindAllStringSubmatch(string(text), -1) {
		n, err := strconv.Atoi(m[2])
		require.NoError(t, err)
		got[m[1]] += n
	}
	for state, n := range want {
		if got[state] != n {
			return fmt.Errorf("%d targets are counted as %s, and not %d: %v", got[state], state, n, got)
		}
	}
	return nil
}

// assertResources checks what Prometheus knows of the targets: what the file and the
// cluster say of them.
func assertResources(t *testing.T, p *rig.Prometheus, listed string) {
	t.Helper()
	_, port, err := net.SplitHostPort(listed)
	require.NoError(t, err)
	got := series(t, p, `target_info{instance="`+listed+`"}`)[0].Labels
	assert.Equal(t, "reports", got["job"])
	assert.Equal(t, "books", got["team"])
	assert.Equal(t, port, got["server_port"])
	got = series(t, p, `target_info{instance="restarts-0"}`)[0].Labels
	assert.Equal(t, "shop", got["job"])
	for label, want := range map[string]string{
		"k8s_pod_name": "restarts-0", "k8s_pod_uid": "uid-of-restarts-0", "k8s_namespace_name": "shop",
		"k8s_node_name": "node-1", "k8s_container_name": "shop", "k8s_cluster_name": "east",
	} {
		assert.Equal(t, want, got[label], label)
	}
}

// noSeries returns an error while Prometheus has series of a replica.
func noSeries(t *testing.T, p *rig.Prometheus, instance string) error {
	left, err := p.Query(t.Context(), `{__name__=~"goroutine_(count|finding_open|stack_goroutine_count)", instance="`+instance+`"}`)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("still there: %v", left)
	}
	return err
}

// A badTarget cannot be observed.
type badTarget struct {
	name, address, scheme string
	why                   string // what the log must say of it
}

// bad are targets that cannot be observed.
type bad struct {
	all         []badTarget
	certificate []byte // of the target whose certificate has expired, in PEM
}

func (b bad) groups() (all []targets) {
	for _, target := range b.all {
		all = append(all, targets{[]string{target.address}, map[string]string{"job": "bad", "__scheme__": target.scheme}})
	}
	return all
}

// startBad starts servers that run until the end of the test.
func startBad(t *testing.T) bad {
	t.Helper()
	ended := make(chan struct{})
	wait := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-ended:
		case <-r.Context().Done():
		}
	}
	refuse := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="pprof"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}
	expired, certificate := startExpired(t)
	b := bad{certificate: certificate, all: []badTarget{
		{"an expired certificate", expired, "https", "certificate has expired"},
		{"a 401", serve(t, refuse), "http", "401 Unauthorized"},
		{"a slow target", serve(t, wait), "http", "within 5s (timeout)"},
		{"a target without pprof", serve(t, http.NotFound), "http", "net/http/pprof is not served there"},
	}}
	t.Cleanup(func() { close(ended) })
	return b
}

// serve serves a handler until the end of the test and returns the address.
func serve(t *testing.T, h http.HandlerFunc) string {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// startExpired starts a server with a certificate that has expired.
func startExpired(t *testing.T) (address string, certificate []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "expired"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // each handshake fails
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
