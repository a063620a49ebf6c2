// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/sockets"
)

// TestADetectorSeesTheProcesssSockets has a socket that listens.
func TestADetectorSeesTheProcesssSockets(t *testing.T) {
	if _, err := new(sockets.Reader).Read(time.Now()); errors.Is(err, sockets.ErrUnsupported) {
		t.Skip(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	synctest.Test(t, func(t *testing.T) {
		var listening atomic.Int64
		asks := &detectors.Detector{Name: "asks", Run: func(p *detectors.Pass) error {
			s, err := p.Sockets()
			if err != nil {
				return err
			}
			for i := range s.All {
				if s.All[i].State == goroutine.SocketListen {
					listening.Add(1)
				}
			}
			return nil
		}}
		m, err := Start(provider(), withCapturer(parked(1)), WithDetectors(asks))
		require.NoError(t, err)
		synctest.Wait()
		assert.Positive(t, listening.Load())
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
