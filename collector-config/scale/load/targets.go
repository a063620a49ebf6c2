// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Targets are processes that serve net/http/pprof, as far as a client can tell:
// each has an address of its own, and answers requests for a trace or a goroutine
// profile from a recording, moment by moment. Make them with [ServeTargets].
type Targets struct {
	Wire Wire // what all connections carried

	server  *http.Server
	targets []*target
	work    sync.WaitGroup
}

// A target is one of them.
type target struct {
	address   string
	recording *Recording

	mu     sync.Mutex
	moment int       // of the next answer
	last   time.Time // when the last request came
	count  Answers
}

// Answers is what targets answered.
type Answers struct {
	Traces, Profiles int
	Other            int           // requests for other pages, which were refused
	Ended            int           // requests after the end of a recording, which were refused
	Silent           int           // targets that were never asked
	Longest          time.Duration // the longest time between two requests for a snapshot of a target
	Late             int           // targets for which such a time was longer than the limit
}

// ServeTargets serves n targets on free ports of the loopback interface. Those
// that have the same recording begin at different moments of it, so that no two
// have the same goroutines at the same time; spread is how many moments that may
// take. Close ends them.
func ServeTargets(n int, recordings []Recording, spread int) (*Targets, error) {
	all := &Targets{}
	byListener := make(map[net.Listener]*target)
	for i := range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			all.closeAll(byListener)
			return nil, fmt.Errorf("target %d of %d: %w", i+1, n, err)
		}
		t := &target{address: listener.Addr().String(), recording: &recordings[i%len(recordings)]}
		t.moment = i / len(recordings) % max(spread, 1)
		all.targets = append(all.targets, t)
		byListener[countedListener{listener, &all.Wire}] = t
	}
	all.server = &http.Server{
		Handler: http.HandlerFunc(serveTarget),
		BaseContext: func(l net.Listener) context.Context {
			return context.WithValue(context.Background(), theTarget{}, byListener[l])
		},
	}
	for listener := range byListener {
		all.work.Go(func() { _ = all.server.Serve(listener) }) // ends on Close
	}
	return all, nil
}

func (all *Targets) closeAll(listeners map[net.Listener]*target) {
	for l := range listeners {
		_ = l.Close()
	}
}

// Close ends all targets.
func (all *Targets) Close() error {
	err := all.server.Close()
	all.work.Wait()
	return err
}

// Addresses returns the addresses of the targets.
func (all *Targets) Addresses() []string {
	addresses := make([]string, len(all.targets))
	for i, t := range all.targets {
		addresses[i] = t.address
	}
	return addresses
}

// Reset begins to count anew. The time between a request before it and the next one
// counts.
func (all *Targets) Reset() {
	for _, t := range all.targets {
		t.mu.Lock()
		t.count = Answers{}
		t.mu.Unlock()
	}
}

// Answers returns what the targets answered since the last Reset. A target is late
// if it was not asked for a snapshot for longer than limit; those that are waiting
// at the moment count, too.
func (all *Targets) Answers(limit time.Duration) (sum Answers) {
	for _, t := range all.targets {
		t.add(&sum, limit, time.Now())
	}
	return sum
}

func (t *target) add(sum *Answers, limit time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last.IsZero() {
		sum.Silent++
		return
	}
	sum.Traces += t.count.Traces
	sum.Profiles += t.count.Profiles
	sum.Other += t.count.Other
	sum.Ended += t.count.Ended
	longest := max(t.count.Longest, now.Sub(t.last))
	sum.Longest = max(sum.Longest, longest)
	if longest > limit {
		sum.Late++
	}
}

// theTarget is the key of the target in the context of a request.
type theTarget struct{}

// serveTarget answers a request to a target.
func serveTarget(w http.ResponseWriter, r *http.Request) {
	t, ok := r.Context().Value(theTarget{}).(*target)
	if !ok {
		http.Error(w, "no target", http.StatusInternalServerError)
		return
	}
	body, err := t.answer(r.URL.Path, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	pause(r.Context(), duration(r))
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body)
}

// duration returns how long a page takes to be written, as net/http/pprof has it.
func duration(r *http.Request) time.Duration {
	seconds, err := strconv.ParseFloat(r.FormValue("seconds"), 64)
	if err != nil || !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, 1) * float64(time.Second))
}

var (
	errNoPage = errors.New("the target has only a trace and a goroutine profile")
	errEnded  = errors.New("the recording is over")
)

// answer returns the body of a page. Each request for a trace or a profile is one
// moment later than the last.
func (t *target) answer(path string, now time.Time) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	pages, count := t.recording.Traces, &t.count.Traces
	switch path {
	case "/debug/pprof/trace":
	case "/debug/pprof/goroutine":
		pages, count = t.recording.Profiles, &t.count.Profiles
	default:
		t.count.Other++
		return nil, errNoPage
	}
	if !t.last.IsZero() {
		t.count.Longest = max(t.count.Longest, now.Sub(t.last))
	}
	t.last = now
	if t.moment >= len(pages) {
		t.count.Ended++
		return nil, errEnded
	}
	*count++
	t.moment++
	return pages[t.moment-1], nil
}
