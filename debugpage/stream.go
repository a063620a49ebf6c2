// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// streamName is the last element of the path of the stream.
const streamName = "stream"

const (
	// writeTimeout is how long a browser may take to accept one change. It
	// replaces the server's own timeout, which is meant for responses that end.
	writeTimeout = 10 * time.Second
	// beat is how often a stream tells the page what is being judged, whether or not
	// anything changes: of a monitor that hangs, nothing else does.
	beat = 20 * time.Second
	// leastGap is the minimum time between two changes of one stream.
	leastGap = 100 * time.Millisecond
)

// stream sends changes as they happen.
func (p *page) stream(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.ParseUint(sinceOf(r), 10, 64)
	if err != nil {
		http.Error(w, "debugpage: stream: since is "+quote(sinceOf(r))+"; it must be the seq of data.json", http.StatusBadRequest)
		return
	}
	ending, ok := p.streams.begin(r)
	if !ok {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "debugpage: "+strconv.Itoa(p.streams.most)+" pages are open, which is the most; close one or raise WithStreams", http.StatusServiceUnavailable)
		return
	}
	defer p.streams.end()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // otherwise nginx would buffer changes
	s := sender{w: w, control: http.NewResponseController(w), method: r.Method}
	if !s.send(": hello\n\n") || r.Method == http.MethodHead {
		return
	}
	p.follow(r, &s, since, ending)
}

// sinceOf returns the seq of the browser's data. After a reconnect, that is the
// last one it received.
func sinceOf(r *http.Request) string {
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		return last
	}
	return r.URL.Query().Get("since")
}

// follow sends changes until the browser disconnects or the server or monitor
// is shut down.
func (p *page) follow(r *http.Request, s *sender, since uint64, ending <-chan struct{}) {
	heart := time.NewTicker(beat)
	defer heart.Stop()
	counts := time.NewTicker(countsEvery)
	defer counts.Stop()
	stopped := p.monitor.Done()
	for {
		sent := true
		select {
		case <-r.Context().Done():
			return
		case <-ending:
			s.send("event: end\ndata: {}\n\n")
			return
		case <-stopped:
			p.recorder.Close() // the last change
			stopped = nil
		case <-heart.C:
			sent = p.beat(s)
		case <-counts.C:
			sent = p.counts(s)
		case <-p.recorder.Changed(since):
			var last bool
			since, last, sent = p.change(s, since)
			sent = sent && !last && pause(r, leastGap)
		}
		if !sent {
			return
		}
	}
}

// change sends what has changed after since. It returns the seq to continue
// from.
func (p *page) change(s *sender, since uint64) (seq uint64, last, sent bool) {
	v, ok := p.recorder.Since(since)
	if !ok {
		return since, true, s.send("event: reload\ndata: {}\n\n")
	}
	body, err := json.Marshal(v)
	if err != nil {
		return since, true, false
	}
	return v.Seq, v.Stopped, s.send(fmt.Sprintf("event: change\nid: %d\ndata: %s\n\n", v.Seq, body))
}

// beat sends what the findings cover now.
func (p *page) beat(s *sender) (sent bool) {
	body, err := json.Marshal(p.recorder.Sight())
	if err != nil {
		return false
	}
	return s.send(fmt.Sprintf("event: sight\ndata: %s\n\n", body))
}

func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// A sender writes to one browser.
type sender struct {
	w       http.ResponseWriter
	control *http.ResponseController
	method  string
}

// send reports whether the browser accepted text. It sets no deadline if the
// server does not support deadlines, as in a test or behind a wrapper.
func (s *sender) send(text string) bool {
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTimeout))
	if s.method != http.MethodHead {
		if _, err := s.w.Write([]byte(text)); err != nil {
			return false
		}
	}
	return s.control.Flush() == nil
}

// streams limits the number of streams. It also ends the streams of a server
// that is shutting down; otherwise the server would wait for them.
type streams struct {
	mu      sync.Mutex
	most    int
	open    int
	servers map[*http.Server]chan struct{} // closed when the server shuts down
}

// maxServers is how many servers are watched for shutdown.
const maxServers = 16

func newStreams(most int) *streams {
	return &streams{most: most, servers: make(map[*http.Server]chan struct{})}
}

// begin counts a stream. The channel is closed when the stream's server shuts
// down.
func (s *streams) begin(r *http.Request) (ending <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.most {
		return nil, false
	}
	s.open++
	server, _ := r.Context().Value(http.ServerContextKey).(*http.Server)
	if server == nil {
		return nil, true
	}
	down, known := s.servers[server]
	if !known && len(s.servers) < maxServers {
		down = make(chan struct{})
		s.servers[server] = down
		server.RegisterOnShutdown(sync.OnceFunc(func() { s.down(server) }))
	}
	return down, true
}

func (s *streams) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
}

func (s *streams) down(server *http.Server) {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.servers[server])
}
