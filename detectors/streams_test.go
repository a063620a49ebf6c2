// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

var (
	atGRPCStream = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*feed).Watch:9", "google.golang.org/grpc.(*Server).processStreamingRPC:5", "google.golang.org/grpc.(*Server).handleStream:2")
	atGRPCReads  = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "google.golang.org/grpc/internal/transport.(*http2Server).HandleStreams:2")
)

// TestStreamsWhoseConnectionsAreGone has streams of clients that have a connection each.
// A stream does not outlive its connection, so that those are orphans that are older
// than each connection that is left.
func TestStreamsWhoseConnectionsAreGone(t *testing.T) {
	for name, c := range map[string]clients{
		"gRPC":   {handler: atGRPCStream, companion: atGRPCReads},
		"HTTP/2": {handler: atH2Handler, companion: atH2Reads},
	} {
		for _, busy := range []int{0, 70} {
			c.busy = busy
			_, _, _, known := c.peers(t, 1, nil)
			assert.False(t, known, "%s: clients that stay", name)

			c.stay, c.share = 5*time.Minute, 1
			n, alive, orphaned, known := c.peers(t, 1, nil)
			assert.True(t, known, name)
			assert.Zero(t, alive, name)
			assert.Greater(t, orphaned, n*7/10, name)
			assert.Less(t, orphaned, n*95/100, "%s: those of the last five minutes have a connection", name)

			proxy := func(p *detectortest.Process, i int) {
				if i == 20 {
					p.Go(c.companion, 1)
				}
			}
			_, _, orphaned, known = c.peers(t, 1, proxy)
			assert.False(t, known && orphaned > n/4, "%s: beside a connection that stays, which may have them all", name)

			c.companion = atOtherRead
			_, _, _, known = c.peers(t, 1, nil)
			assert.False(t, known, "%s: without a connection that is known to carry streams", name)
			c.companion = map[bool]detectortest.Place{true: atGRPCReads, false: atH2Reads}[c.handler == atGRPCStream]
			c.stay, c.share = 0, 0
		}
	}
}
