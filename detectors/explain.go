// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import "github.com/otelgoroutine/go/goroutine"

// An Explanation says what goroutines that block at a place wait for, as far as the
// stacks of well-known libraries show it.
type Explanation struct {
	// Waits completes "3 goroutines wait …", as in "for a connection of a database/sql
	// pool". It is empty where the stack shows no such resource.
	Waits string
	// Means says in a sentence what that they wait there means. It may be empty.
	Means string
	// Advice says in a sentence what to look for if they are not woken.
	Advice string
	// Request reports whether the goroutines handle requests: a client waits for each.
	Request bool
	// Bounded reports whether what they wait for commonly comes within two minutes.
	Bounded bool
	// Outside reports whether it is an answer from outside the process, and Inside
	// whether goroutines of the process do or hold it.
	Outside, Inside bool
	// Unread reports whether it is that a response body is read to its end or closed,
	// which may take for as long as the server sends.
	Unread bool
}

// Explain explains what goroutines with a stack and a state wait for. It depends on
// nothing else and costs some microseconds.
func Explain(s *goroutine.Stack, state goroutine.State) Explanation {
	e := Explanation{Request: handles(s)}
	e.Means, e.Advice = adviceAt(s, state)
	if r, ok := resourceAt(s, state); ok && !state.Lock() && r.name != "channel" {
		e.Waits, e.Means, e.Advice = r.what, r.out, r.forgotten
		e.Bounded, e.Outside, e.Inside, e.Unread = r.scarce || r.answers, r.answers, r.inside, r.name == "HTTP response body"
	}
	return e
}
