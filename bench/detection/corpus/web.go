package corpus

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"
)

func web() []Scenario {
	return []Scenario{
		{
			Name: "http-body-not-closed", Class: HTTP, Faulty: true, Expect: leak("(*persistConn).readLoop"),
			Doc: "A client looks at the status only and never closes the body: its connection and two goroutines stay.",
			Run: func(e *Env) { statusChecks(e, false) },
		},
		{
			Name: "http-body-closed", Class: HTTP,
			Doc: "A client looks at the status only, and closes the body.",
			Run: func(e *Env) { statusChecks(e, true) },
		},
		{
			Name: "http-handler-outlives-client", Class: HTTP, Faulty: true, Expect: leak("awaitPayment"),
			Doc: "A handler waits for a payment that never comes, and does not see that the client has left.",
			Run: func(e *Env) { payments(e, false) },
		},
		{
			Name: "http-handler-watches-client", Class: HTTP,
			Doc: "A handler waits for a payment, or for the client to leave.",
			Run: func(e *Env) { payments(e, true) },
		},
		{
			Name: "http-stream-ignores-disconnect", Class: HTTP, Faulty: true, Expect: leak("(*feed).stream"),
			Doc: "A handler streams a topic's events; for a quiet topic it never notices that the client is gone.",
			Run: func(e *Env) { feedStreams(e, false) },
		},
		{
			Name: "http-stream-sees-disconnect", Class: HTTP,
			Doc: "A handler streams a topic's events until the client is gone.",
			Run: func(e *Env) { feedStreams(e, true) },
		},
		{
			Name: "http-client-without-timeout", Class: HTTP, Faulty: true, Expect: leak("callBackend", "slowBackend", "(*persistConn).roundTrip"),
			Doc: "A client without a time limit asks a backend that has begun to hang.",
			Run: func(e *Env) { backends(e, false) },
		},
		{
			Name: "http-client-with-timeout", Class: HTTP,
			Doc: "A client with a time limit asks a backend that has begun to hang.",
			Run: func(e *Env) { backends(e, true) },
		},
		{
			Name: "http-idle-connections-kept", Class: HTTP, Faulty: true, Expect: leak("readCommand"),
			Beyond: "a connection whose client is gone without a word looks like one whose client has nothing to say; reads from the network are not judged",
			Doc:    "A server reads commands without a deadline; clients that vanish without closing stay for ever.",
			Run:    func(e *Env) { commandServers(e, false) },
		},
		{
			Name: "http-idle-connections-closed", Class: HTTP,
			Doc: "A server reads commands with a deadline.",
			Run: func(e *Env) { commandServers(e, true) },
		},
		{
			Name: "http-long-poll", Class: HTTP,
			Doc: "Clients wait for news for up to four minutes each, some thirty at a time.",
			Run: longPolls,
		},
		{
			Name: "http-keep-alive-clients", Class: HTTP,
			Doc: "Several clients keep idle connections open, in waves.",
			Run: keepAlives,
		},
		{
			Name: "http-graceful-shutdown", Class: HTTP,
			Doc: "A server is shut down gracefully again and again, and another one takes over.",
			Run: shutdowns,
		},
		{
			Name: "http-event-streams", Class: HTTP,
			Doc: "Streams of events live for some half an hour each, and come and go.",
			Run: eventStreams,
		},
		{
			Name: "http-reconnect-storm", Class: HTTP,
			Doc: "A hundred clients lose their connections at once and come back, again and again.",
			Run: reconnects,
		},
	}
}

func statusChecks(e *Env, closes bool) {
	s := ordinary(e)
	s.mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("all is well\n", 20))
	})
	c := s.newClient(time.Hour)
	c.Timeout = 0
	e.Arrive(3, func() {
		answer, err := c.Get(s.url + "/status")
		if err != nil {
			return
		}
		if closes {
			answer.Body.Close()
		} else {
			e.Fault()
		}
		if answer.StatusCode == http.StatusOK {
			e.Served()
		}
	})
}

func payments(e *Env, watches bool) {
	var n counter
	serve(e, 8, func(ctx context.Context) {
		paid := make(chan int)
		if n.every(3) {
			if !watches {
				e.Fault()
			}
		} else {
			go func() {
				time.Sleep(e.Tail(300 * time.Millisecond))
				select {
				case paid <- 1:
				case <-ctx.Done():
				}
			}()
		}
		var done <-chan struct{}
		if watches {
			done = ctx.Done()
		}
		awaitPayment(done, paid)
		e.Served()
	})
}

func awaitPayment(done <-chan struct{}, paid <-chan int) {
	select {
	case <-paid:
	case <-done:
	}
}

// A feed has events for those who stream it: in a busy one every second, in
// a quiet one once a day.
type feed struct {
	e     *Env
	every time.Duration
	sees  bool
}

func feedStreams(e *Env, sees bool) {
	s := ordinary(e)
	busy, quiet := &feed{e, time.Second, sees}, &feed{e, 24 * time.Hour, sees}
	s.mux.HandleFunc("/busy", busy.stream)
	s.mux.HandleFunc("/quiet", quiet.stream)
	watch := func(path string, rate float64) {
		e.Arrive(rate, func() {
			ctx, cancel := context.WithTimeout(context.Background(), e.Tail(20*time.Second))
			defer cancel()
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
			answer, err := s.newClient(time.Hour).Do(r)
			if err != nil {
				return
			}
			defer answer.Body.Close()
			_, _ = io.Copy(io.Discard, answer.Body)
			if path == "/quiet" && !sees {
				e.Fault()
			}
		})
	}
	watch("/busy", 3)
	watch("/quiet", 3)
}

func (f *feed) stream(w http.ResponseWriter, r *http.Request) {
	events := make(chan int)
	left := make(chan struct{})
	defer close(left)
	go func() {
		for {
			timer := time.NewTimer(f.e.Dur(f.every))
			select {
			case <-timer.C:
			case <-left:
				timer.Stop()
				return
			}
			select {
			case events <- 1:
			case <-left:
				return
			}
		}
	}()
	_ = http.NewResponseController(w).Flush()
	done := r.Context().Done()
	if !f.sees {
		done = nil
	}
	for {
		select {
		case n := <-events:
			if _, err := fmt.Fprintf(w, "data: %d\n\n", n); err != nil {
				return
			}
			if http.NewResponseController(w).Flush() != nil {
				return
			}
			f.e.Served()
		case <-done:
			return
		}
	}
}

func backends(e *Env, limited bool) {
	backend := newSite(e)
	backend.mux.HandleFunc("/", func(_ http.ResponseWriter, r *http.Request) {
		slowBackend(e, r.Context())
	})
	c := backend.newClient(5 * time.Second)
	if !limited {
		c.Timeout = 0
	}
	serve(e, 5, func(context.Context) {
		if e.Age() > 3*time.Minute && !limited {
			e.Fault()
		}
		callBackend(e, c, backend.url)
	})
}

func callBackend(e *Env, c *http.Client, url string) {
	answer, err := c.Get(url)
	if err != nil {
		return
	}
	defer answer.Body.Close()
	_, _ = io.Copy(io.Discard, answer.Body)
	e.Served()
}

// slowBackend hangs from the third minute on, for as long as its client stays.
func slowBackend(e *Env, ctx context.Context) {
	if e.Age() > 3*time.Minute {
		<-ctx.Done()
	}
}

func commandServers(e *Env, deadlines bool) {
	ordinary(e)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for readCommand(e, c, deadlines) == nil {
					e.Served()
				}
			}()
		}
	}()
	vanished := make(chan net.Conn, 10_000) // a client that is gone does not close
	e.Arrive(2, func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return
		}
		for range 3 {
			time.Sleep(e.Tail(time.Second))
			_, _ = c.Write([]byte{1})
		}
		if !deadlines {
			e.Fault()
		}
		vanished <- c
	})
}

func readCommand(e *Env, c net.Conn, deadlines bool) error {
	if deadlines {
		_ = c.SetReadDeadline(time.Now().Add(e.Dur(2 * time.Minute)))
	}
	var b [1]byte
	_, err := c.Read(b[:])
	return err
}

func longPolls(e *Env) {
	s := ordinary(e)
	s.handle("/poll", func(ctx context.Context) {
		select {
		case <-ctx.Done():
		case <-time.After(e.Between(time.Second, 4*time.Minute)):
			e.Served()
		}
	})
	c := s.newClient(10 * time.Minute)
	for range 30 {
		go func() {
			for {
				_ = s.get(c, "/poll")
			}
		}()
	}
}

func keepAlives(e *Env) {
	s := ordinary(e)
	s.handle("/", func(context.Context) { time.Sleep(e.Tail(time.Second)); e.Served() })
	for range 3 {
		c := s.newClient(time.Minute)
		e.Every(4*time.Minute, func() {
			for range 12 {
				go func() { _ = s.get(c, "/") }()
			}
		})
	}
}

func shutdowns(e *Env) {
	ordinary(e)
	go func() {
		for {
			s := newSite(e)
			s.handle("/", func(context.Context) { time.Sleep(e.Tail(500 * time.Millisecond)); e.Served() })
			for range 40 {
				go func() { _ = s.get(s.client, "/") }()
				e.Sleep(3 * time.Second)
			}
			_ = s.server.Shutdown(context.Background())
			s.client.CloseIdleConnections()
		}
	}()
}

func eventStreams(e *Env) {
	s := ordinary(e)
	f := &feed{e, 30 * time.Second, true}
	s.mux.HandleFunc("/events", f.stream)
	e.Arrive(2, func() {
		ctx, cancel := context.WithTimeout(context.Background(), e.Tail(20*time.Minute))
		defer cancel()
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/events", nil)
		answer, err := s.newClient(100 * time.Hour).Do(r)
		if err != nil {
			return
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
	})
}

func reconnects(e *Env) {
	s := ordinary(e)
	f := &feed{e, 20 * time.Second, true}
	s.mux.HandleFunc("/events", f.stream)
	var mu chan struct{} = make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(context.Background())
	current := func() context.Context {
		mu <- struct{}{}
		defer func() { <-mu }()
		return ctx
	}
	for range 100 {
		go func() {
			c := s.newClient(100 * time.Hour)
			for {
				r, _ := http.NewRequestWithContext(current(), http.MethodGet, s.url+"/events", nil)
				if answer, err := c.Do(r); err == nil {
					_, _ = io.Copy(io.Discard, answer.Body)
					answer.Body.Close()
				}
				time.Sleep(e.Dur(time.Second + rand.N(20*time.Second)))
			}
		}()
	}
	e.Every(15*time.Minute, func() {
		mu <- struct{}{}
		defer func() { <-mu }()
		cancel()
		ctx, cancel = context.WithCancel(context.Background())
	})
}
