// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package sockets

import (
	"errors"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxSockets is how many sockets a reading covers at most: 150 kB of results, and
	// about 4 ms; each takes 2 µs.
	maxSockets = 2048
	// maxDescriptors is how many descriptors a reading tries at most; each that is no socket
	// takes 0.3 µs.
	maxDescriptors = 1 << 16
	// maxTime is how long a reading takes at most. It counts in a sandbox in which each
	// call takes microseconds.
	maxTime = 10 * time.Millisecond
	// perCheck is how many descriptors are tried between two readings of the clock.
	perCheck = 64
)

// ErrUnsupported says that sockets are not read on this platform.
var ErrUnsupported = errors.New("sockets are read on Linux only, and not on 386 or s390x")

// A Reader reads the sockets of this process time and again. Its zero value is ready
// for use. It is not safe for concurrent use.
type Reader struct {
	gone map[uint64]time.Time // by the kernel's cookie of a socket: when first seen gone
}

// bounds are those of a reading.
type bounds struct {
	sockets, descriptors int
	time                 time.Duration
}

// Read reads the sockets of this process. It fails where the platform or the
// environment does not permit that, and then probably always will.
func (r *Reader) Read(now time.Time) (*goroutine.Sockets, error) {
	return r.read(now, bounds{maxSockets, maxDescriptors, maxTime})
}

// A walk visits the numbers below limit once each, in an order in which each
// beginning is an even sample: steps of the golden ratio spread most evenly.
type walk struct{ at, step, limit int }

func newWalk(limit int) walk {
	step := int(float64(limit)*0.6180339887) | 1
	for ; gcd(step, limit) != 1; step += 2 {
	}
	return walk{step: step, limit: limit}
}

func (w *walk) next() int {
	at := w.at
	w.at = (w.at + w.step) % w.limit
	return at
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
