// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

func TestCountsOfSockets(t *testing.T) {
	now := time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)
	s := &goroutine.Sockets{Time: now, Share: 0.25, All: []goroutine.Socket{
		{State: goroutine.SocketListen},
		{State: goroutine.SocketClosed},
		{State: goroutine.SocketEstablished, Received: time.Hour},
		{State: goroutine.SocketEstablished, Received: time.Second},
		{State: goroutine.SocketCloseWait, Gone: true, Since: now.Add(-time.Minute), Received: time.Hour},
		{State: goroutine.SocketClosed, Gone: true, Since: now},
	}}
	assert.Equal(t, 2, s.GoneFor(0))
	assert.Equal(t, 1, s.GoneFor(time.Minute))
	assert.Zero(t, s.GoneFor(time.Minute+1))
	assert.Equal(t, 1, s.SilentFor(time.Minute))
	assert.Equal(t, 8, s.Estimate(2))
	assert.Equal(t, 2, (&goroutine.Sockets{}).Estimate(2), "the share is not known")
}
