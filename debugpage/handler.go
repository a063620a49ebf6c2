// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"runtime"
	"strconv"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/live"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/internal/webui"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// Handler returns the page of a monitor and starts to record the counts of its
// snapshots. After the monitor is shut down, the handler remains valid and
// shows the last state. With a monitor that is nil or that Start did not
// return, the handler reports that there is none, with status 503.
func Handler(monitor *otelgoroutine.Monitor, opts ...Option) http.Handler {
	c := newConfig(opts)
	switch {
	case monitor == nil:
		return noMonitor("is nil")
	case monitor.Interval() <= 0:
		return noMonitor("was not started")
	}
	recorder, stop := record(monitor)
	p := &page{monitor: monitor, recorder: recorder, program: programOf(c.name), hosts: c.hosts}
	runtime.AddCleanup(p, func(stop func()) { stop() }, stop) // stop recording once the handler is garbage collected
	p.streams = newStreams(c.streams)
	p.resources = map[string]http.HandlerFunc{
		"":               asset("text/html; charset=utf-8", webui.Index()),
		"page.js":        asset("text/javascript; charset=utf-8", webui.PageScript()),
		"page.css":       asset("text/css; charset=utf-8", webui.PageStyle()),
		"icon.svg":       asset("image/svg+xml", webui.Icon()),
		"data.json":      p.data,
		"stack.json":     p.stack,
		streamName:       p.stream,
		"snapshot.pb.gz": p.profile,
		"report.txt":     p.report,
	}
	if c.readOnly {
		p.resources[""] = asset("text/html; charset=utf-8", withoutCapture(webui.Index()))
	} else {
		p.resources[captureName] = p.capture
	}
	return p
}

// noMonitor returns a handler for a service whose monitor could not be started:
// a debugging page must not keep it from running.
func noMonitor(problem string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		secure(w.Header())
		http.Error(w, "debugpage: the Monitor given to Handler "+problem+"; it must be one that otelgoroutine.Start returned without an error, and OTELGOROUTINE_ENABLED must not be false", http.StatusServiceUnavailable)
	})
}

// record returns a recorder of the monitor's updates and a function that stops
// it. The monitor calls the recorder until the monitor is shut down.
func record(m *otelgoroutine.Monitor) (r *live.Recorder, stop func()) {
	r = live.New(live.Config{Interval: m.Interval(), CPU: m.Budget().CPU, Sight: func() *report.Sight { return sightOf(m) }})
	stop = m.Subscribe(func(from otelgoroutine.Update) {
		u := live.Update{Snapshot: from.Snapshot, Open: report.Briefly(from.Open)}
		for _, e := range from.Events {
			u.Events = append(u.Events, report.EventOf(e))
		}
		for _, s := range from.Skips {
			u.Skips = append(u.Skips, report.Skip{Source: string(s.Source), Reason: s.Reason})
		}
		r.Record(u)
	})
	return r, stop
}

// A page is the handler that [Handler] returns.
type page struct {
	monitor   *otelgoroutine.Monitor
	recorder  *live.Recorder
	program   program
	streams   *streams
	hosts     hosts
	resources map[string]http.HandlerFunc // by the last element of the path
}

// Recorder returns the recorder behind the page. It is exported for
// debugpage/browsertest; only this module can name its type.
func (p *page) Recorder() *live.Recorder { return p.recorder }

// ServeHTTP routes by the last element of the path alone, so the handler works
// wherever it is mounted.
func (p *page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	serve, ok := p.resources[name]
	allowed, fits := methods(r, name)
	switch {
	case !p.hosts.expected(r.Host):
		http.Error(w, "debugpage: the page is not served under the host name "+quote(nameOf(r.Host))+
			"; it must be an IP address, localhost, the name of this machine or a name given to debugpage.WithHosts", http.StatusForbidden)
	case !ok:
		http.Error(w, "debugpage: no resource "+quote(name)+"; the path of the page must end in a slash", http.StatusNotFound)
	case !fits:
		w.Header().Set("Allow", allowed)
		http.Error(w, "debugpage: method "+quote(r.Method)+" is not supported; it must be "+strings.ReplaceAll(allowed, ", ", " or "), http.StatusMethodNotAllowed)
	case foreign(r, name):
		http.Error(w, "debugpage: requests from pages of other sites are refused", http.StatusForbidden)
	case name == "" && !strings.HasSuffix(askedPath(r), "/"):
		w.Header().Set("Location", withSlash(r))
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		serve(w, r)
	}
}

// secure sets the headers of every response. The page may load only its own
// resources and run no inline script. Other sites may neither frame it nor read
// it.
func secure(h http.Header) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
}

// asset serves a text that never changes.
func asset(contentType, text string) http.HandlerFunc {
	sum := sha256.Sum256([]byte(text))
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", contentType)
		h.Set("Cache-Control", "no-cache")
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		write(w, r, []byte(text))
	}
}

// write sends a body. It compresses the body if the client accepts that.
func write(w http.ResponseWriter, r *http.Request, body []byte) {
	h := w.Header()
	h.Add("Vary", "Accept-Encoding")
	if len(body) > 1<<10 && acceptsGzip(r.Header) {
		var b bytes.Buffer
		z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is valid
		_, _ = z.Write(body)                            // writing to a bytes.Buffer cannot fail
		_ = z.Close()
		body = b.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client may have disconnected
	}
}

func acceptsGzip(h http.Header) bool {
	for part := range strings.SplitSeq(strings.Join(h.Values("Accept-Encoding"), ","), ",") {
		coding, weight, _ := strings.Cut(strings.ReplaceAll(part, " ", ""), ";")
		if coding == "gzip" && strings.Trim(weight, "q=0.") != "" || coding == "gzip" && weight == "" {
			return true
		}
	}
	return false
}

// everything is a full view together with the data that changes do not repeat.
type everything struct {
	*live.View
	Counts  Counts  `json:"counts"` // of now
	Program program `json:"program"`
}

func (p *page) data(w http.ResponseWriter, r *http.Request) {
	select {
	case <-p.monitor.Done():
		p.recorder.Close()
	default:
	}
	p.json(w, r, everything{p.recorder.View(), countsNow(), p.program})
}

func (p *page) stack(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		http.Error(w, "debugpage: stack.json: n is "+quote(r.URL.Query().Get("n"))+"; it must be the number of a stack in data.json", http.StatusBadRequest)
		return
	}
	detail, ok := p.recorder.Detail(number)
	if !ok {
		http.Error(w, "debugpage: stack "+strconv.Itoa(number)+" does not exist or is gone", http.StatusNotFound)
		return
	}
	p.json(w, r, detail)
}

func (p *page) json(w http.ResponseWriter, r *http.Request, v any) {
	body, err := json.Marshal(v)
	if err != nil { // a detector reported a number that JSON cannot represent
		http.Error(w, "debugpage: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	write(w, r, body)
}

// profile sends the latest snapshot as a profile, without label values.
func (p *page) profile(w http.ResponseWriter, r *http.Request) {
	s := p.monitor.Snapshot()
	if s == nil {
		http.Error(w, "debugpage: no snapshot has been taken yet", http.StatusServiceUnavailable)
		return
	}
	sendProfile(w, r, s)
}

func sendProfile(w http.ResponseWriter, r *http.Request, s *goroutine.Snapshot) {
	var b bytes.Buffer
	if err := parse.WriteProfile(&b, withoutLabels(s)); err != nil {
		http.Error(w, "debugpage: "+err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="goroutines-`+s.Time.UTC().Format("20060102T150405Z")+`.pb.gz"`)
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // the client may have disconnected
	}
}

func withoutLabels(s *goroutine.Snapshot) *goroutine.Snapshot {
	bare := *s
	bare.Groups = append([]goroutine.Group(nil), s.Groups...)
	for i := range bare.Groups {
		bare.Groups[i].Labels = nil
	}
	return &bare
}

func (p *page) report(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := p.monitor.WriteReport(&b); err != nil {
		http.Error(w, "debugpage: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	write(w, r, []byte(live.Scrub(b.String())))
}
