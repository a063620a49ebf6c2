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
	usualHTTP = "127.0.0.1:6060" // where people look for pprof
	noHTTP    = "off"            // value of -http
	pagePath  = "/debug/goroutines/"
)

// An admin serves what operators look at, on a port of its own: the live page
// beside net/http/pprof. Both show the inside of the program, so they belong
// behind the same protection. Here that is the loopback interface.
type admin struct {
	listener net.Listener // nil: there is none
	server   *http.Server
	served   chan error
}

// startAdmin serves on addr, which may be noHTTP. Empty stands for usualHTTP,
// and for any free port where that is taken: a second demonstration, or a
// service that is debugged beside it, is no reason to fail.
func startAdmin(addr string, monitor *otelgoroutine.Monitor) (*admin, error) {
	a := &admin{served: make(chan error, 1)}
	if addr == noHTTP {
		return a, nil
	}
	var err error
	if a.listener, err = listen(addr); err != nil {
		return nil, fmt.Errorf("-http %s: %w", addr, err)
	}
	a.server = &http.Server{Handler: adminMux(monitor), ReadHeaderTimeout: 5 * time.Second}
	go func() { a.served <- a.server.Serve(a.listener) }()
	return a, nil
}

func listen(addr string) (net.Listener, error) {
	if addr != "" {
		return net.Listen("tcp", addr)
	}
	if l, err := net.Listen("tcp", usualHTTP); err == nil {
		return l, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

func adminMux(monitor *otelgoroutine.Monitor) *http.ServeMux {
	mux := http.NewServeMux()
	mux.Handle(pagePath, debugpage.Handler(monitor, debugpage.WithName("example")))
	mux.Handle("/{$}", http.RedirectHandler(pagePath, http.StatusTemporaryRedirect))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// url returns where the page is, or nothing.
func (a *admin) url() string {
	if a.listener == nil {
		return ""
	}
	return "http://" + a.listener.Addr().String() + pagePath
}

// stop ends the server. Open pages are told.
func (a *admin) stop(ctx context.Context) error {
	if a.server == nil {
		return nil
	}
	err := a.server.Shutdown(ctx)
	if served := <-a.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}
