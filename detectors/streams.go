// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/places"
)

// The functions of servers by which handlers of streams that share a connection, and the
// goroutine that reads it, are recognized: gRPC's own transport, and HTTP/2 of net/http
// and golang.org/x/net, under the names of their releases.
const (
	grpcHandle = "google.golang.org/grpc.(*Server).handleStream"
	grpcReader = "google.golang.org/grpc/internal/transport.(*http2Server).HandleStreams"
	h2Handle   = "erverConn).runHandler"
	h2Reader   = "erverConn).readFrames"
)

// sharesConnection reports whether a goroutine serves one of the streams of a
// connection: then nothing in IO wait is as old as it is.
func sharesConnection(s *goroutine.Stack) bool {
	return bodyRead(s) || serverRecv(s) || slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool {
		return strings.Contains(f.Function, "http2") || slices.ContainsFunc(multiplexers, func(p string) bool { return strings.HasPrefix(f.Function, p) })
	})
}

// multiplexers are prefixes of functions of libraries that run several streams, or
// subscriptions, over one connection, beside those of HTTP/2.
var multiplexers = []string{
	"google.golang.org/grpc.", "google.golang.org/grpc/internal/transport.", "github.com/quic-go/quic-go",
	"github.com/nats-io/nats%2ego.", "github.com/hashicorp/yamux.", "golang.org/x/crypto/ssh.",
	"github.com/xtaci/smux.", "github.com/libp2p/", "github.com/rabbitmq/amqp091-go.",
}

// servesStream reports whether a goroutine handles a stream for a client.
func servesStream(s *goroutine.Stack) bool { return s.Has(grpcHandle) || hasSuffix(s, h2Handle) }

// readsStreams reports whether a goroutine reads a connection for a server, which may have
// many streams.
func readsStreams(s *goroutine.Stack) bool { return s.Has(grpcReader) || hasSuffix(s, h2Reader) }

func hasSuffix(s *goroutine.Stack, suffix string) bool {
	return slices.ContainsFunc(s.Frames, func(f goroutine.Frame) bool { return strings.HasSuffix(f.Function, suffix) })
}

// maxMoments is how many snapshots are compared with the newest at most.
const maxMoments = 16

// streamsPeers is [peersOf] for handlers of streams that share connections. Which stream
// belongs to which connection is not known; but a stream does not outlive its connection.
// If none of the connections of a moment is left, the streams of that moment have lost
// their client. Nothing is known of streams while one connection, as of a proxy, stays.
func streamsPeers(s *places.Series, pl *places.Place) (alive, orphaned int, known bool) {
	reads := memo(readsStreams)
	left := make([]int, len(s.Newest().Epochs))
	recent := max(0, s.Last()+1-places.Whole)
	for i := recent; i <= s.Last(); i++ {
		for k, n := range s.BornIn(i, reads) {
			left[k] = max(left[k], n)
		}
	}
	for i, step := recent-1, max(1, (recent+maxMoments-1)/maxMoments); i >= 0; i -= step {
		if were, stay := compareBirths(s.BornIn(i, reads), left); were && !stay {
			orphaned = pl.StoodFrom(i)
			return 0, orphaned, orphaned > 0
		}
	}
	return 0, 0, false
}

// compareBirths reports whether there were any, and whether one of them may be among
// those that are left.
func compareBirths(was, left []int) (were, stay bool) {
	for k, n := range was {
		were = were || n > 0
		stay = stay || n > 0 && left[k] > 0
	}
	return were, stay
}

// memo returns a function of stacks that remembers.
func memo(f func(*goroutine.Stack) bool) func(*goroutine.Stack) bool {
	known := make(map[*goroutine.Stack]bool)
	return func(s *goroutine.Stack) bool {
		is, ok := known[s]
		if !ok {
			is = f(s)
			known[s] = is
		}
		return is
	}
}
