// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package health

import (
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// Limits of [WithUnhealthyAfter]. A value outside is replaced by the nearest limit: a
// probe must not keep a service from starting.
const (
	DefaultUnhealthyAfter = 5 * time.Minute
	MaxUnhealthyAfter     = 24 * time.Hour
)

type config struct{ after time.Duration }

// An Option changes when a process is unhealthy.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

// WithUnhealthyAfter sets for how long a finding must have been open before the
// process is unhealthy, from 0 to [MaxUnhealthyAfter]. The default is
// [DefaultUnhealthyAfter]. With 0, the process is unhealthy as soon as a finding is
// confirmed, high or certain.
//
// Findings get that confidence after minutes, too; the two times overlap and do not
// add up. docs/health.md of the module has both for each fault.
func WithUnhealthyAfter(d time.Duration) Option {
	return optionFunc(func(c *config) { c.after = min(max(d, 0), MaxUnhealthyAfter) })
}

// Handler returns a handler that answers with the health of a monitor, for a liveness
// probe: 200, or 503 with the reason. The package comment has the rules. A monitor
// that is nil, that was not made by Start or that was shut down is healthy.
func Handler(monitor *otelgoroutine.Monitor, opts ...Option) http.Handler {
	c := config{after: DefaultUnhealthyAfter}
	for _, o := range opts {
		if o != nil {
			o.apply(&c)
		}
	}
	return handler{health: monitor.Health, after: c.after}
}

type handler struct {
	health func() otelgoroutine.Health
	after  time.Duration
}

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("X-Content-Type-Options", "nosniff")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		header.Set("Allow", "GET, HEAD")
		http.Error(w, "health: the method must be GET or HEAD", http.StatusMethodNotAllowed)
		return
	}
	a := h.answer(h.health())
	contentType, body := "text/plain; charset=utf-8", []byte(a.line())
	header.Set("Vary", "Accept")
	if wantsJSON(r.Header.Values("Accept")) {
		contentType, body = "application/json", a.json()
	}
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(a.code())
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has gone needs no answer
	}
}

// The values of status.
const (
	statusOK        = "ok"
	statusUnhealthy = "unhealthy"
)

// An answer is the JSON of a response.
type answer struct {
	Status  string   `json:"status"`
	Reason  string   `json:"reason,omitempty"`  // what is wrong; also of a finding that is not old enough yet
	Blind   string   `json:"blind,omitempty"`   // what cannot be judged now
	Finding *finding `json:"finding,omitempty"` // behind the reason
}

// A finding is what an answer says of a finding.
type finding struct {
	ID             string  `json:"id"`
	Detector       string  `json:"detector"`
	Confidence     string  `json:"confidence"`
	Goroutines     int     `json:"goroutines"`
	Since          string  `json:"since"`           // when it was opened, RFC 3339
	Age            float64 `json:"age"`             // for how long it has been open, in seconds
	UnhealthyAfter float64 `json:"unhealthy_after"` // from which age on the process is unhealthy, in seconds
}

func (h handler) answer(now otelgoroutine.Health) answer {
	a := answer{Status: statusOK, Reason: now.Reason, Blind: now.Blind}
	if now.OK || now.Finding == nil {
		return a
	}
	if now.Age >= h.after {
		a.Status = statusUnhealthy
	}
	f := now.Finding
	a.Finding = &finding{
		ID: f.ID, Detector: f.Detector, Confidence: f.Confidence.String(), Goroutines: f.Count,
		Since: now.Since.UTC().Format(time.RFC3339), Age: now.Age.Seconds(), UnhealthyAfter: h.after.Seconds(),
	}
	return a
}

func (a answer) code() int {
	if a.Status == statusUnhealthy {
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// line returns the answer as one line of text.
func (a answer) line() string {
	switch {
	case a.Status == statusUnhealthy:
		return a.Status + ": " + a.Reason + "\n"
	case a.Reason != "":
		return a.Status + ": not for long enough to be unhealthy: " + a.Reason + "\n"
	case a.Blind != "":
		return a.Status + ": cannot judge now: " + a.Blind + "\n"
	}
	return a.Status + "\n"
}

func (a answer) json() []byte {
	body, err := json.Marshal(a)
	if err != nil { // strings and numbers always have a form
		return []byte("{}\n")
	}
	return append(body, '\n')
}

// wantsJSON reports whether a request prefers JSON: it names application/json, and no
// kind of text before it.
func wantsJSON(accept []string) bool {
	for part := range strings.SplitSeq(strings.Join(accept, ","), ",") {
		kind, params, err := mime.ParseMediaType(part)
		switch {
		case err != nil || params["q"] == "0":
		case kind == "application/json":
			return true
		case strings.HasPrefix(kind, "text/"):
			return false
		}
	}
	return false
}
