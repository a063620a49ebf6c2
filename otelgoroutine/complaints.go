// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"fmt"
	"sync"

	"go.opentelemetry.io/otel"
)

// maxComplaints bounds the kinds of failure that are reported.
const maxComplaints = 100

// complaints reports failures to the OpenTelemetry error handler, each kind
// once. The zero value is ready. It is safe for concurrent use.
type complaints struct {
	mu   sync.Mutex
	seen map[string]bool
}

// complain reports the first failure of a kind. The handler is the user's and
// may panic.
func (c *complaints) complain(kind string, err error) {
	defer func() { _ = recover() }()
	if c.first(kind) {
		otel.Handle(err)
	}
}

func (c *complaints) first(kind string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[kind] || len(c.seen) >= maxComplaints {
		return false
	}
	if c.seen == nil {
		c.seen = make(map[string]bool)
	}
	c.seen[kind] = true
	return true
}

// survive is deferred wherever code of the user's runs, and reports its panic.
func (c *complaints) survive() {
	if p := recover(); p != nil {
		c.complain("panic", fmt.Errorf("otelgoroutine: panic: %v", p))
	}
}
