package corpus

import (
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"time"
)

// A site is an HTTP service on loopback with a client of its own.
type site struct {
	e      *Env
	mux    *http.ServeMux
	server *http.Server
	url    string
	client *http.Client
}

// newSite serves. It panics when it cannot listen: then nothing is measured.
func newSite(e *Env) *site {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	s := &site{e: e, mux: http.NewServeMux(), url: "http://" + l.Addr().String()}
	s.server = &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       e.Dur(3 * time.Minute),
		ErrorLog:          log.New(io.Discard, "", 0),
	}
	go s.server.Serve(l)
	s.client = s.newClient(30 * time.Second)
	return s
}

// newClient returns a client that keeps its connections, with a scaled time
// limit on requests.
func (s *site) newClient(limit time.Duration) *http.Client {
	return &http.Client{
		Timeout:   s.e.Dur(limit),
		Transport: &http.Transport{MaxIdleConnsPerHost: 16, IdleConnTimeout: s.e.Dur(90 * time.Second)},
	}
}

// handle serves path with f.
func (s *site) handle(path string, f func(ctx context.Context)) {
	s.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		f(r.Context())
		w.WriteHeader(http.StatusOK)
	})
}

// get asks for path and reads the answer.
func (s *site) get(c *http.Client, path string) error {
	answer, err := c.Get(s.url + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}

// visit asks for path, perSecond times a second.
func (s *site) visit(perSecond float64, path string) {
	s.e.Arrive(perSecond, func() { _ = s.get(s.client, path) })
}

// serve is a service whose only path is served by f, with ordinary traffic
// besides.
func serve(e *Env, perSecond float64, f func(ctx context.Context)) *site {
	s := ordinary(e)
	s.handle("/work", f)
	s.visit(perSecond, "/work")
	return s
}

// ordinary is a small healthy service: requests of all lengths, a pool of
// workers behind a queue, a janitor and a loop on a ticker.
func ordinary(e *Env) *site {
	s := newSite(e)
	jobs := make(chan func(), 4)
	for range 6 {
		go ordinaryWorker(jobs)
	}
	s.handle("/page", func(context.Context) { time.Sleep(e.Tail(200 * time.Millisecond)); e.Served() })
	s.handle("/job", func(ctx context.Context) {
		done := make(chan struct{})
		jobs <- func() { time.Sleep(e.Tail(100 * time.Millisecond)); close(done) }
		<-done
		e.Served()
	})
	s.visit(12, "/page")
	s.visit(6, "/job")
	go ordinaryJanitor(e)
	return s
}

func ordinaryWorker(jobs <-chan func()) {
	for f := range jobs {
		f()
	}
}

func ordinaryJanitor(e *Env) {
	ticker := time.NewTicker(e.Dur(time.Minute))
	defer ticker.Stop()
	for range ticker.C {
		e.Served()
	}
}
