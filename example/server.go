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
	"github.com/otelgoroutine/go/otelgoroutine"
)

const (
	usualHTTP = "127.0.0.1:6060" // where people expect pprof
	anyPort   = "127.0.0.1:0"
	noHTTP    = "off" // value of -http
	pagePath  = "/debug/goroutines/"
)

// startAdmin serves, on a port of its own, what operators need: the live page
// beside net/http/pprof. Both show the inside of the program, so they belong
// behind the same protection. Here that is the loopback interface.
//
// An empty addr stands for usualHTTP, and for any free port where that is
// taken: a second demonstration, or a service that is debugged beside it, is no
// reason to fail. With noHTTP, the server is nil.
func startAdmin(addr string, monitor *otelgoroutine.Monitor) (*server, error) {
	if addr == noHTTP {
		return nil, nil
	}
	mux := http.NewServeMux()
	mux.Handle(pagePath, debugpage.Handler(monitor, debugpage.WithName("example")))
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

// A server is an HTTP server that has begun to listen.
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

// url returns the URL of a path, empty when there is no server.
func (s *server) url(path string) string {
	if s == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String() + path
}

// stop ends the server, and cuts off the requests that are not done with when
// ctx ends.
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
