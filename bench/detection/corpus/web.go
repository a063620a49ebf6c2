// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

var web = []program{
	{statusChecks, "http-body-not-closed", "http-body-closed"},
	{payments, "http-handler-outlives-client", "http-handler-watches-client"},
	{feedStreams, "http-stream-ignores-disconnect", "http-stream-sees-disconnect"},
	{backends, "http-client-without-timeout", "http-client-with-timeout"},
	{commandServers, "http-idle-connections-kept", "http-idle-connections-closed"},
	{longPolls, "", "http-long-poll"},
	{keepAlives, "", "http-keep-alive-clients"},
	{shutdowns, "", "http-graceful-shutdown"},
	{eventStreams, "", "http-event-streams"},
	{reconnects, "", "http-reconnect-storm"},
}

func statusChecks(e *Env) {
	s := ordinary(e)
	s.mux.HandleFunc("/status", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("all is well\n", 20))
	})
	c := s.newClient(0)
	e.Arrive(3, func() {
		answer, err := c.Get(s.url + "/status")
		if err != nil {
			return
		}
		if !e.Fails() {
			answer.Body.Close()
		}
		if answer.StatusCode == http.StatusOK {
			e.Served()
		}
	})
}

func payments(e *Env) {
	serve(e, 8, func(r request) {
		paid := make(chan int)
		if r.every(3) {
			e.Fails()
		} else {
			time.AfterFunc(e.Tail(300*time.Millisecond), func() {
				select {
				case paid <- 1:
				case <-r.Done():
				}
			})
		}
		awaitPayment(inSound(e, r.Done()), paid)
	})
}

func awaitPayment(done <-chan struct{}, paid <-chan int) {
	select {
	case <-paid:
	case <-done:
	}
}

// A feed has events for streams: in a busy one every second, in a quiet one
// once a day.
type feed struct {
	e     *Env
	every time.Duration
}

// watch streams a feed for some time, in a client of its own.
func watch(e *Env, s *site, path string, median time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), e.Tail(median))
	defer cancel()
	_ = s.get(ctx, s.newClient(100*time.Hour), path)
}

func feedStreams(e *Env) {
	s := ordinary(e)
	s.mux.HandleFunc("/busy", (&feed{e, time.Second}).stream)
	s.mux.HandleFunc("/quiet", (&feed{e, 24 * time.Hour}).stream)
	e.Arrive(3, func() { watch(e, s, "/busy", 20*time.Second) })
	e.Arrive(3, func() { watch(e, s, "/quiet", 20*time.Second); e.Fails() })
}

func (f *feed) stream(w http.ResponseWriter, r *http.Request) {
	events, left := make(chan int), make(chan struct{})
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
	for {
		select {
		case n := <-events:
			_, err := fmt.Fprintf(w, "data: %d\n\n", n)
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			f.e.Served()
		case <-inSound(f.e, r.Context().Done()):
			return
		}
	}
}

func backends(e *Env) {
	backend := newSite(e)
	backend.handle("/", func(r request) { slowBackend(e, r) })
	c := backend.newClient(inSound(e, 5*time.Second))
	serve(e, 5, func(request) {
		if e.Age() > 3*time.Minute {
			e.Fails()
		}
		callBackend(c, backend.url)
	})
}

func callBackend(c *http.Client, url string) {
	if answer, err := c.Get(url); err == nil {
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
}

// slowBackend hangs from the third minute on, for as long as its client stays.
func slowBackend(e *Env, ctx context.Context) {
	if e.Age() > 3*time.Minute {
		<-ctx.Done()
	}
}

func commandServers(e *Env) {
	ordinary(e)
	l := listen()
	again(1, func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for readCommand(e, c) == nil {
				e.Served()
			}
		}()
	})
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
		e.Fails()
		vanished <- c
	})
}

func readCommand(e *Env, c net.Conn) error {
	if e.sound {
		_ = c.SetReadDeadline(time.Now().Add(e.Dur(2 * time.Minute)))
	}
	var b [1]byte
	_, err := c.Read(b[:])
	return err
}

func longPolls(e *Env) {
	s := ordinary(e)
	s.handle("/poll", func(r request) {
		select {
		case <-r.Done():
		case <-time.After(e.Between(time.Second, 4*time.Minute)):
		}
	})
	c := s.newClient(10 * time.Minute)
	again(30, func() { _ = s.get(context.Background(), c, "/poll") })
}

func keepAlives(e *Env) {
	s := ordinary(e)
	s.handle("/", func(request) { time.Sleep(e.Tail(time.Second)) })
	for range 3 {
		c := s.newClient(time.Minute)
		e.Every(4*time.Minute, func() {
			for range 12 {
				go func() { _ = s.get(context.Background(), c, "/") }()
			}
		})
	}
}

func shutdowns(e *Env) {
	ordinary(e)
	again(1, func() {
		s := newSite(e)
		s.handle("/", func(request) { time.Sleep(e.Tail(500 * time.Millisecond)) })
		for range 40 {
			go s.visit("/")
			e.Sleep(3 * time.Second)
		}
		_ = s.server.Shutdown(context.Background())
		s.client.CloseIdleConnections()
	})
}

func eventStreams(e *Env) {
	s := ordinary(e)
	s.mux.HandleFunc("/events", (&feed{e, 30 * time.Second}).stream)
	e.Arrive(2, func() { watch(e, s, "/events", 20*time.Minute) })
}

func reconnects(e *Env) {
	s := ordinary(e)
	s.mux.HandleFunc("/events", (&feed{e, 20 * time.Second}).stream)
	var current atomic.Pointer[loginSession] // of all clients with the network
	current.Store(newSession(context.Background()))
	for range 100 {
		c := s.newClient(100 * time.Hour)
		again(1, func() {
			_ = s.get(current.Load().ctx, c, "/events")
			time.Sleep(e.Dur(time.Second + rand.N(20*time.Second)))
		})
	}
	e.Every(15*time.Minute, func() { current.Swap(newSession(context.Background())).cancel() })
}
