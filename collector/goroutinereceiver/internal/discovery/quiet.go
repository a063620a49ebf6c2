// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
)

const (
	// repeatAfter is how often a message that stays true is repeated. Prometheus
	// logs the same failure at every refresh.
	repeatAfter = 10 * time.Minute
	// maxSaid bounds the messages that are remembered.
	maxSaid = 1000
)

// quiet is a slog.Handler that leaves out what it has handled shortly before.
// Messages about different things, which differ in an attribute, are different.
type quiet struct {
	next slog.Handler
	with string // attributes and groups of the logger
	said *said
}

// newLogger returns what Prometheus's code logs to.
func newLogger(to *zap.Logger) *slog.Logger {
	return slog.New(&quiet{next: zapslog.NewHandler(to.Core(), zapslog.WithName(to.Name())), said: new(said)})
}

func (q *quiet) Enabled(ctx context.Context, level slog.Level) bool {
	return q.next.Enabled(ctx, level)
}

func (q *quiet) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelInfo && !q.said.first(q.identity(r), r.Time) {
		return nil
	}
	return q.next.Handle(ctx, r)
}

// number is in an error what changes with each try, such as the local port of a
// connection.
var number = regexp.MustCompile(`\d+`)

func (q *quiet) identity(r slog.Record) string {
	var b strings.Builder
	b.WriteString(q.with)
	b.WriteString(r.Message)
	r.Attrs(func(a slog.Attr) bool {
		value := a.Value.String()
		if a.Key == "err" {
			value = number.ReplaceAllString(value, "0")
		}
		fmt.Fprintf(&b, "\x00%s=%s", a.Key, value)
		return true
	})
	return b.String()
}

func (q *quiet) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &quiet{next: q.next.WithAttrs(attrs), with: fmt.Sprint(q.with, attrs), said: q.said}
}

func (q *quiet) WithGroup(name string) slog.Handler {
	return &quiet{next: q.next.WithGroup(name), with: q.with + name + ".", said: q.said}
}

// said remembers messages and when they were last let through.
type said struct {
	mu   sync.Mutex
	when map[string]time.Time
}

// first reports whether a message has not been let through within repeatAfter.
func (s *said) first(message string, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if last, ok := s.when[message]; ok && now.Sub(last) < repeatAfter {
		return false
	}
	if len(s.when) >= maxSaid || s.when == nil {
		s.when = make(map[string]time.Time)
	}
	s.when[message] = now
	return true
}
