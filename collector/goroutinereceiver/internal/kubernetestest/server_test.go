// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetestest

import (
	"context"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/discovery"
	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/fakekube"
)

// A server is an API server that remembers what it was asked for.
type server struct {
	*fakekube.Server
	URL string

	tls *httptest.Server

	mu      sync.Mutex
	asked   map[string]bool // verbs and paths
	refused int
	changed chan struct{} // closed and replaced with each refusal
}

func serve(t *testing.T, rules []fakekube.Rule) *server {
	t.Helper()
	s := &server{Server: fakekube.New(), asked: make(map[string]bool), changed: make(chan struct{})}
	s.SetRules(rules...)
	s.tls = httptest.NewTLSServer(s)
	s.URL = s.tls.URL
	t.Cleanup(s.tls.Close)
	t.Cleanup(s.Break)
	return s
}

// authority writes the certificate of the server to a file.
func (s *server) authority(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: s.tls.Certificate().Raw}
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(block), 0o600))
	return file
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	verb := "list"
	if r.URL.Query().Get("watch") != "" {
		verb = "watch"
	}
	if r.Method != http.MethodGet {
		verb = "create"
	}
	s.mu.Lock()
	s.asked[verb+" "+r.URL.Path] = true
	s.mu.Unlock()
	s.Server.ServeHTTP(&statusWriter{w, s}, r)
}

// A statusWriter counts refusals.
type statusWriter struct {
	http.ResponseWriter
	server *server
}

func (w *statusWriter) WriteHeader(status int) {
	if status == http.StatusForbidden {
		w.server.mu.Lock()
		defer w.server.mu.Unlock()
		w.server.refused++
		close(w.server.changed)
		w.server.changed = make(chan struct{})
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Flush is for what asks for an http.Flusher.
func (w *statusWriter) Flush() { _ = http.NewResponseController(w.ResponseWriter).Flush() }

// awaitRefusal waits until the server has refused something.
func (s *server) awaitRefusal(t *testing.T) {
	t.Helper()
	for {
		s.mu.Lock()
		refused, changed := s.refused, s.changed
		s.mu.Unlock()
		if refused > 0 {
			return
		}
		select {
		case <-changed:
		case <-time.After(patience):
			require.Fail(t, "nothing was refused")
		}
	}
}

// patience is for a machine that does many other things.
const patience = 2 * time.Minute

// A run has the updates of a discovery that runs until the end of the test.
type run struct{ updates chan discovery.Update }

func discover(t *testing.T, s *server) *run {
	t.Helper()
	manager, err := discovery.New(jobs(t, s), discovery.Options{MaxTargets: 1000})
	require.NoError(t, err)
	r := &run{updates: make(chan discovery.Update, 100)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- manager.Run(ctx, func(u discovery.Update) { r.updates <- u }) }()
	t.Cleanup(func() {
		cancel()
		assert.NoError(t, <-done)
	})
	return r
}

// await returns the first update with a number of targets.
func (r *run) await(t *testing.T, targets int) discovery.Update {
	t.Helper()
	var last discovery.Update
	for {
		select {
		case last = <-r.updates:
			if len(last.Targets) == targets {
				assert.Zero(t, last.Invalid)
				return last
			}
		case <-time.After(patience):
			require.Failf(t, "no such update", "%d targets wanted; the last update: %+v", targets, last)
		}
	}
}
