// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest

import (
	"fmt"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/words"
)

const (
	// maxTold is how many findings are told in full.
	maxTold = 10
	// maxTrace is how many bytes of a stack are told.
	maxTrace = 8 << 10
)

// text says what was found; it is empty when nothing was.
func (w *Watcher) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.found) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "goroutinetest: %s in %v:\n", words.Plural(len(w.found), "finding"), time.Since(w.began).Round(time.Second))
	for _, f := range w.found[:min(len(w.found), maxTold)] {
		f.write(&b, w.began)
	}
	if more := len(w.found) - maxTold; more > 0 {
		fmt.Fprintf(&b, "\n%d more\n", more)
	}
	return b.String()
}

// write writes the sentence, the evidence and the stacks.
func (f *found) write(b *strings.Builder, began time.Time) {
	d := &f.finding
	fmt.Fprintf(b, "\n%s (%s), found after %s: %s\n", d.Detector, d.Confidence, words.Span(d.Opened.Sub(began)), d.Message)
	for _, e := range d.Evidence {
		fmt.Fprintf(b, "  - %s\n", e)
	}
	if d.Advice != "" {
		fmt.Fprintf(b, "  Next: %s\n", d.Advice)
	}
	if f.end != "" {
		fmt.Fprintf(b, "  It ended before the test did: %s\n", f.end)
	}
	if len(d.Participants) == 0 {
		writeStack(b, fmt.Sprintf("%s, %s", words.Plural(d.Count, "goroutine"), d.State), d.Stack)
	}
	for i := range d.Participants {
		p := &d.Participants[i]
		writeStack(b, fmt.Sprintf("%s: %s", p.Role.Title(), p), p.Stack)
	}
}

func writeStack(b *strings.Builder, title string, s *goroutine.Stack) {
	fmt.Fprintf(b, "  %s\n", title)
	if s == nil {
		return
	}
	for line := range strings.Lines(s.Text(maxTrace)) {
		b.WriteString("    " + line)
	}
}
