// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/otelgoroutine/go/debugpage"
	"github.com/otelgoroutine/go/health"
	"github.com/otelgoroutine/go/otelgoroutine"
)

const (
	usualHTTP = "127.0.0.1:6060" // the address at which people expect pprof
	anyPort   = "127.0.0.1:0"
	noHTTP    = "off" // value of -http that disables the server
	pagePath  = "/debug/goroutines/"
	livePath  = "/livez"

	// unhealthyAfter suits the thresholds of this demonstration (see hasty). Do not copy
	// it: the default is five minutes.
	unhealthyAfter = 10 * time.Second
)

// startAdmin serves what operators need on a separate port: the live page next
// to net/http/pprof, and the health for a liveness probe. The first two show the inside
// of the program, so they need the same protection. Here, the loopback interface
// provides it.
//
// If addr is empty, the server listens on usualHTTP or, if that is taken, on
// any free port: a second demonstration, or a service that is debugged at the
// same time, must not make it fail. If addr is noHTTP, the returned server is
// nil.
func startAdmin(addr string, monitor *otelgoroutine.Monitor) (*server, error) {
	if addr == noHTTP {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.Handle(pagePath, debugpage.Handler(monitor, debugpage.WithName("example (settings of a demonstration)")))
	mux.Handle(livePath, health.Handler(monitor, health.WithUnhealthyAfter(unhealthyAfter)))
	mux.Handle("/{$}", http.RedirectHandler(pagePath, http.StatusTemporaryRedirect))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	if addr == "" {
		if s, err := startServer(usualHTTP, mux); err == nil {
			return s, nil
		}
		addr = anyPort
	}
	s, err := startServer(addr, mux)
	if err != nil {
		return nil, fmt.Errorf("-http %s: %w", addr, err)
	}
	return s, nil
}

// A server is an HTTP server that is already listening.
type server struct {
	listener net.Listener
	http     http.Server
	served   chan error
}

func startServer(addr string, handler http.Handler) (*server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s := &server{
		listener: listener,
		http:     http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second},
		served:   make(chan error, 1),
	}
	go func() { s.served <- s.http.Serve(listener) }()
	return s, nil
}

// url returns the URL of a path, or "" if there is no server.
func (s *server) url(path string) string {
	if s == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String() + path
}

// stop stops the server. When ctx ends, it cuts off requests that are still
// running.
func (s *server) stop(ctx context.Context) error {
	if s == nil {
		return nil
	}
	if s.http.Shutdown(ctx) != nil {
		_ = s.http.Close()
	}
	if err := <-s.served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
