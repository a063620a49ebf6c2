// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelgoroutine/go/cmd/goroutines/internal/export"
	"github.com/otelgoroutine/go/cmd/goroutines/internal/view"
	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/words"
)

// heartbeat is how often a watch without a screen says that it goes on.
const heartbeat = 10 * time.Minute

func newWatching(f *watchFlags, c *cobra.Command) *watching {
	w := &watching{flags: f, out: c.OutOrStdout(), errs: c.ErrOrStderr(), in: c.InOrStdin()}
	if f.format != "" || !hasScreen(w.out) {
		w.log = newChangeLog(w.out, f.format == "json")
	}
	w.health = export.NewHealth(w.exported)
	return w
}

// hasScreen reports whether w is a terminal that can be painted.
func hasScreen(w io.Writer) bool { return isTerminal(w) && os.Getenv("TERM") != "dumb" }

// exported tells once that the export of a signal fails, and once that it works
// again. The screen shows it.
func (w *watching) exported(s export.State) {
	if w.log == nil {
		return
	}
	text := fmt.Sprintf("are sent again after %s", words.Span(s.After))
	switch {
	case s.Err != nil:
		text = fmt.Sprintf("are not sent: %s; it is tried again", exportError(s.Err))
	case s.Lost > 0:
		text += fmt.Sprintf("; %d %s lost", s.Lost, words.Verb(s.Lost, "was", "were"))
	}
	fmt.Fprintf(w.errs, "goroutines: --otlp %s: %s %s\n", w.flags.otlp, s.Signal, text)
}

// exportError returns an error in one line.
func exportError(err error) string {
	return strings.Join(strings.Fields(err.Error()), " ")
}

// A changeLog writes what changes about the targets.
type changeLog struct {
	mu      sync.Mutex
	log     *view.Log
	changes map[string]*observe.Changes // by target
	failed  chan struct{}               // closed when nothing can be written any more
	once    sync.Once
}

func newChangeLog(w io.Writer, json bool) *changeLog {
	return &changeLog{log: view.NewLog(w, json), changes: make(map[string]*observe.Changes), failed: make(chan struct{})}
}

// step writes what a step has changed: the events last.
func (l *changeLog) step(s *observe.Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.changes[s.Status.Name]
	if c == nil {
		c = new(observe.Changes)
		l.changes[s.Status.Name] = c
	}
	for _, change := range c.Next(&s.Status, time.Now()) {
		l.log.Changed(&s.Status, change)
	}
	for _, e := range s.Events {
		l.log.Event(&s.Status, e)
	}
	l.checked()
}

// checked ends the watch if its output is gone.
func (l *changeLog) checked() {
	if l.log.Err() != nil {
		l.once.Do(func() { close(l.failed) })
	}
}

// run writes the state of all targets every 10 minutes, until ctx ends or nothing
// can be written.
func (l *changeLog) run(ctx context.Context, statuses func() []observe.Status) error {
	ticker := time.NewTicker(heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.failed:
			l.mu.Lock()
			defer l.mu.Unlock()
			return fmt.Errorf("writing: %w", l.log.Err())
		case now := <-ticker.C:
			l.mu.Lock()
			l.log.Status(statuses(), now)
			l.checked()
			l.mu.Unlock()
		}
	}
}
