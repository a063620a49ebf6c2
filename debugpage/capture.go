// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/otelgoroutine/go/internal/report"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// captureName is the last element of the path of captures, the only resource that does
// something.
const captureName = "capture"

// captureTimeout is how long a request waits for a snapshot.
const captureTimeout = 10 * time.Second

// captured is the JSON of a capture.
type captured struct {
	report.Head
	Files []savedFile   `json:"files"` // empty if there is no place for files
	Skips []report.Skip `json:"skips"`
}

// A savedFile is a file of a capture.
type savedFile struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
	Path string `json:"path,omitempty"`
}

// capture takes a snapshot and sends it as a profile or, if the client accepts JSON,
// says what was captured and where it was saved.
func (p *page) capture(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), captureTimeout)
	defer cancel()
	c, err := p.monitor.Capture(ctx)
	if err != nil {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "debugpage: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	if strings.Contains(r.Header.Get("Accept"), "application/json") {
		p.json(w, r, capturedOf(&c))
		return
	}
	sendProfile(w, r, c.Snapshot)
}

func capturedOf(c *otelgoroutine.Captured) captured {
	all := captured{Head: report.HeadOf(c.Snapshot), Files: []savedFile{}, Skips: []report.Skip{}}
	for _, f := range c.Files {
		all.Files = append(all.Files, savedFile{string(f.Kind), f.Name, f.Path})
	}
	for _, s := range c.Skips {
		all.Skips = append(all.Skips, report.Skip{Source: string(s.Source), Reason: s.Reason})
	}
	return all
}

// captureButton is the line of the page with the button.
var captureButton = regexp.MustCompile(`(?m)^<button [^>]*id="capture".*\n`)

func withoutCapture(page string) string { return captureButton.ReplaceAllString(page, "") }

// methods returns the methods of a resource, as in the header Allow, and whether r has
// one of them.
func methods(r *http.Request, name string) (allowed string, ok bool) {
	if name == captureName {
		return "POST", r.Method == http.MethodPost
	}
	return "GET, HEAD", r.Method == http.MethodGet || r.Method == http.MethodHead
}
