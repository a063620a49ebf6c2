// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// A KnownStack is a stack at which goroutines wait by design, for as long as
// the process or a connection lasts.
type KnownStack struct {
	Name   string // identifies the entry in reports, and for users that remove it
	Reason string // why waiting here is not a fault
	Match  func(*goroutine.Stack) bool

	// Creator and Label are further conditions for entries of users; all that are set
	// must hold, and Match may be nil when one of these is set. Creator is the full
	// name of the function with the go statement that makes the goroutines; a * at its
	// end, after the start of a name, stands for any rest. Label is a pprof label that
	// they carry; an empty Value stands for any.
	//
	// Regular snapshots know neither. What depends on them is therefore decided when a
	// detector has found something: for a creator by a goroutine dump, for a label by a
	// labelled profile. The budget may refuse these. Then the finding is reported, until
	// they can be had; an incident that turns out to be excluded is closed. Information
	// is reported too. A finding is left out when all of its goroutines, as far as the
	// dump and the profile have them, meet the conditions. That holds for an hour, and
	// until there are twice as many goroutines; then it is decided again.
	Creator string
	Label   goroutine.Label

	// Owned says that each of these goroutines belongs to a resource that the
	// program itself creates and must close: a client, a pool or a subscription. A
	// healthy program has one per server, tenant or topic and keeps it, so the
	// number rises while a fleet starts and then stays constant. If the program
	// creates one per request and closes none, the number keeps rising; the
	// detector "growth" looks for that over its longest window. When Owned is false,
	// the number is fixed or determined by others, such as the clients of a
	// server.
	Owned bool
}

// KnownGood returns the stacks that wait by design. The list is a copy, so users
// may remove entries and add their own. Each entry matches a function at one end
// of the stack or one specific loop, never a whole package.
//
// The list includes net/http.(*persistConn).readLoop only while it reads.
// Otherwise it waits for a response body to be read and closed, and many such
// goroutines mean that bodies are not closed.
func KnownGood() []KnownStack { return slices.Clone(known) }

// IsKnownGood reports whether an entry of [KnownGood] matches s.
func IsKnownGood(s *goroutine.Stack) bool {
	_, ok := KnownAs(s)
	return ok
}

// KnownAs returns the first entry of [KnownGood] that matches s, and false when
// none does.
func KnownAs(s *goroutine.Stack) (KnownStack, bool) { return lookup(known, s) }

// Unconditional reports whether the stack alone decides.
func (k *KnownStack) Unconditional() bool { return k.Creator == "" && k.Label.Key == "" }

// Validate returns an error when an entry of a user is not accepted: it needs a name, a
// reason and a condition, a label needs a key, and a creator must not match every
// function.
func (k *KnownStack) Validate() error {
	switch {
	case k.Label.Key == "" && k.Label.Value != "":
		return fmt.Errorf("the Label has the Value %q and no Key; a Key is needed", k.Label.Value)
	case k.Name == "" || k.Reason == "" || k.Match == nil && k.Unconditional():
		return errors.New("it needs a Name, a Reason and a Match function, a Creator or a Label")
	}
	return checkPattern("Creator", k.Creator)
}

// Covers reports whether all conditions hold for goroutines of a stack with a creator
// and labels. Conditions on what is not known do not hold.
func (k *KnownStack) Covers(s *goroutine.Stack, creator string, labels []goroutine.Label) bool {
	return (k.Match == nil || k.Match(s)) && k.CoversOrigin(creator, labels)
}

// CoversOrigin reports whether the conditions on creators and labels hold, as Covers
// does, whatever the stack is. It does not call Match.
func (k *KnownStack) CoversOrigin(creator string, labels []goroutine.Label) bool {
	return (k.Creator == "" || hasName(k.Creator, creator)) && (k.Label.Key == "" || k.labelled(labels))
}

func (k *KnownStack) labelled(labels []goroutine.Label) bool {
	return slices.ContainsFunc(labels, func(l goroutine.Label) bool {
		return l.Key == k.Label.Key && (k.Label.Value == "" || l.Value == k.Label.Value)
	})
}

// hasName reports whether a function has a name, in which a * at the end stands for any
// rest.
func hasName(pattern, function string) bool {
	if start, ok := strings.CutSuffix(pattern, "*"); ok {
		return function != "" && strings.HasPrefix(function, start)
	}
	return function == pattern
}

// checkPattern returns an error unless a pattern is one that [hasName] takes: a * is
// only at the end, or part of the receiver of a method.
func checkPattern(field, pattern string) error {
	if pattern == "*" {
		return fmt.Errorf("%s is %q, which matches every function; must be a name, or the start of one and a *", field, pattern)
	}
	if name := strings.TrimSuffix(pattern, "*"); strings.Contains(strings.ReplaceAll(name, "(*", "("), "*") {
		return fmt.Errorf("%s is %q; a * is accepted at the end only, and in a receiver such as (*T)", field, pattern)
	}
	return nil
}

// lookup returns the first entry of list that matches s and has no other condition.
func lookup(list []KnownStack, s *goroutine.Stack) (KnownStack, bool) {
	if i := slices.IndexFunc(list, func(k KnownStack) bool { return k.Unconditional() && k.Match(s) }); i >= 0 {
		return list[i], true
	}
	return KnownStack{}, false
}

var known = []KnownStack{
	{
		Name:   "os/signal.loop",
		Reason: "One per process, from the first signal.Notify on; it waits for signals until the end.",
		Match:  entry("os/signal.loop"),
	},
	{
		Name:   "database/sql.(*DB)",
		Reason: "Up to two per sql.DB, which is meant to live as long as the process: they wait for the need to open a connection, and for the time to close idle ones.",
		Match:  loop("database/sql.(*DB).connectionOpener", "database/sql.(*DB).connectionCleaner"),
		Owned:  true,
	},
	{
		Name:   "net/http.(*persistConn)",
		Reason: "Two per connection of an HTTP client, idle or not: one waits for the server to send something, one for the next request to write.",
		Match:  anyOf(loop("net/http.(*persistConn).writeLoop"), reader("net/http.(*persistConn).readLoop")),
		Owned:  true,
	},
	{
		Name:   "HTTP/2 server connection",
		Reason: "Two per connection of a client, which decides how long it stays: one serves frames, one reads them.",
		Match: anyOf(
			leaf("net/http.(*http2serverConn).serve", "net/http/internal/http2.(*serverConn).serve", "golang.org/x/net/http2.(*serverConn).serve"),
			reader("net/http.(*http2serverConn).readFrames", "net/http/internal/http2.(*serverConn).readFrames", "golang.org/x/net/http2.(*serverConn).readFrames")),
	},
	{
		Name:   "HTTP/2 client connection",
		Reason: "One per connection to a server; it reads frames until the connection closes.",
		Match:  reader("net/http.(*http2ClientConn).readLoop", "net/http/internal/http2.(*ClientConn).readLoop", "golang.org/x/net/http2.(*ClientConn).readLoop"),
	},
	{
		Name:   "HTTP/2 body",
		Reason: "One per stream whose other end is still sending, and decides when it ends. It is what IO wait is on a connection of HTTP/1.",
		Match:  bodyRead,
	},
	{
		Name:   "gRPC transport",
		Reason: "A reader, a writer and a keepalive timer per connection, for as long as either side keeps it.",
		Match: anyOf(
			all(has(grpcTransport+"(*loopyWriter).run"), leaf(grpcTransport+"(*controlBuffer).get")),
			entry(grpcTransport+"(*http2Client).keepalive", grpcTransport+"(*http2Server).keepalive"),
			reader(grpcTransport+"(*http2Client).reader")),
	},
	{
		Name:   "gRPC server stream",
		Reason: "One per stream whose client is still sending, and decides when it ends. It is what IO wait is on a plain connection.",
		Match:  serverRecv,
	},
	{
		Name:   "gRPC callback serializer",
		Reason: "A few per grpc.ClientConn, balancer and resolver; each waits for the next callback until its owner is closed.",
		Match: loop("google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run",
			"google.golang.org/grpc/internal/xds/clients/internal/syncutil.(*CallbackSerializer).run"),
		Owned: true,
	},
	{
		Name:   "gRPC name resolver",
		Reason: "One per grpc.ClientConn with a DNS target; it waits for the next reason to resolve the name.",
		Match:  loop("google.golang.org/grpc/internal/resolver/dns.(*dnsResolver).watcher"),
		Owned:  true,
	},
	{
		Name:   "gRPC server workers",
		Reason: "A pool whose size grpc.NumStreamWorkers fixes; idle workers wait for the next stream.",
		Match:  loop("google.golang.org/grpc.(*Server).serverWorker"),
	},
	{
		Name:   "gRPC balancers",
		Reason: "One per balancer of a grpc.ClientConn; it waits for the next update until the connection is closed.",
		Match: loop(
			"google.golang.org/grpc/internal/xds/balancer/priority.(*priorityBalancer).run",
			"google.golang.org/grpc/internal/xds/balancer/outlierdetection.(*outlierDetectionBalancer).run",
			"google.golang.org/grpc/balancer/grpclb.(*remoteBalancerCCWrapper).watchRemoteBalancer"),
		Owned: true,
	},
	{
		Name:   "gRPC health service",
		Reason: "One per client that watches the health of a server: the handler waits for the next change until the client goes.",
		Match:  leaf("google.golang.org/grpc/health.(*Server).Watch"),
	},
	{
		Name:   "gRPC health check",
		Reason: "Two per connection of a client whose service config asks for health checks: they wait for the server's next message, and for the end of the connection.",
		Match: anyOf(
			all(has("google.golang.org/grpc/health.clientHealthCheck"), leaf(grpcTransport+"(*recvBufferReader).readMessageHeaderClient")),
			loop("google.golang.org/grpc.newNonRetryClientStream.func2")),
	},
	{
		Name:   "github.com/go-sql-driver/mysql watcher",
		Reason: "One per pooled connection, which database/sql bounds; it waits for the next query's context.",
		Match:  loop("github.com/go-sql-driver/mysql.(*mysqlConn).startWatcher.func1"),
		Owned:  true,
	},
	{
		Name:   "github.com/redis/go-redis subscription",
		Reason: "One per PubSub that is read through its channel; it waits for the time to ping the server.",
		Match:  loop("github.com/redis/go-redis/v9.(*channel).initHealthCheck.func1"),
		Owned:  true,
	},
	{
		Name:   "NATS connection",
		Reason: "Two per nats.Conn, until it is closed: one waits for something to flush, one for a callback to call.",
		Match:  anyOf(loop(natsClient+"(*Conn).flusher"), all(entry(natsClient+"(*asyncCallbacksHandler).asyncCBDispatcher"), cond(natsClient+"(*asyncCallbacksHandler).asyncCBDispatcher"))),
		Owned:  true,
	},
	{
		Name:   "NATS subscription",
		Reason: "One per subscription with a callback; it waits for the next message until it is unsubscribed.",
		Match:  all(entry(natsClient+"(*Conn).waitForMsgs"), cond(natsClient+"(*Conn).waitForMsgs")),
		Owned:  true,
	},
	{
		Name:   "NATS server connection",
		Reason: "One per client of an embedded server; it waits for something to send until the client goes.",
		Match:  cond("github.com/nats-io/nats-server/v2/server.(*client).writeLoop"),
	},
	{
		Name:   "OpenTelemetry SDK",
		Reason: "One per reader or batch processor; it waits for the next interval or a full batch.",
		Match: anyOf(
			leaf("go.opentelemetry.io/otel/sdk/metric.(*PeriodicReader).run", "go.opentelemetry.io/otel/sdk/trace.(*batchSpanProcessor).processQueue"),
			loop("go.opentelemetry.io/otel/sdk/log.(*BatchProcessor).process.func1")),
		Owned: true,
	},
	{
		Name:   "otelgoroutine",
		Reason: "Our own goroutines, and pages that are open, wait for the next snapshot; the tests of this module prove that they end.",
		Match: func(s *goroutine.Stack) bool {
			return s.Entry().Package() == "github.com/otelgoroutine/go/otelgoroutine" ||
				s.Has("github.com/otelgoroutine/go/debugpage.(*page).follow")
		},
	},
	{
		Name:   "runtime/trace reader",
		Reason: "One while an execution trace is on, ours included; it waits for the runtime to fill a buffer.",
		Match:  has("runtime.ReadTrace"),
	},
	{
		Name:   "testing",
		Reason: "A test waits for its subtests, or for its turn among parallel ones.",
		Match:  leaf("testing.(*T).Run", "testing.tRunner.func1", "testing.(*testState).waitParallel"),
	},
}

// Prefixes of function names. The linker escapes a dot in the last element of
// a package's path.
const (
	grpcTransport = "google.golang.org/grpc/internal/transport."
	natsClient    = "github.com/nats-io/nats%2ego."
)

// These match goroutines that wait for the peer of a connection to send, as a
// goroutine in IO wait does, but read from a buffer.
var (
	bodyRead   = cond("net/http.(*http2pipe).Read", "net/http/internal/http2.(*pipe).Read", "golang.org/x/net/http2.(*pipe).Read")
	serverRecv = leaf(grpcTransport+"(*recvBufferReader).readMessageHeader", grpcTransport+"(*recvBufferReader).read")
)

// entry matches stacks of goroutines that were started with one of functions.
func entry(functions ...string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool { return slices.Contains(functions, s.Entry().Function) }
}

// leaf matches stacks whose innermost frame outside the runtime is one of
// functions: the function waits itself, not in a function that it calls.
func leaf(functions ...string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		visible := s.Visible()
		return len(visible) > 0 && slices.Contains(functions, visible[0].Function)
	}
}

// loop matches stacks that consist of one of functions alone: the goroutine was
// started with it and waits in it.
func loop(functions ...string) func(*goroutine.Stack) bool {
	return all(entry(functions...), leaf(functions...))
}

// cond matches stacks on which one of functions calls sync.Cond.Wait directly.
func cond(functions ...string) func(*goroutine.Stack) bool {
	return caller("sync.(*Cond).Wait", functions...)
}

// caller matches stacks on which one of functions calls callee directly.
func caller(callee string, functions ...string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		i := slices.IndexFunc(s.Frames, func(f goroutine.Frame) bool { return f.Function == callee })
		return i >= 0 && i+1 < len(s.Frames) && slices.Contains(functions, s.Frames[i+1].Function)
	}
}

// reader matches goroutines that were started with one of functions and wait
// for something to read from a file or a connection.
func reader(functions ...string) func(*goroutine.Stack) bool {
	return all(entry(functions...), anyOf(has("internal/poll.(*FD).Read"), has("internal/poll.(*FD).RawRead")))
}

// has matches stacks that contain function.
func has(function string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool { return s.Has(function) }
}

func anyOf(matches ...func(*goroutine.Stack) bool) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		return slices.ContainsFunc(matches, func(m func(*goroutine.Stack) bool) bool { return m(s) })
	}
}

func all(matches ...func(*goroutine.Stack) bool) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		return !slices.ContainsFunc(matches, func(m func(*goroutine.Stack) bool) bool { return !m(s) })
	}
}
