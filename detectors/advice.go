// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"slices"
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

// A companion is a kind of goroutine that a library starts beside something that
// its user must end. The stack shows the library's own code: where it waits says
// nothing about what was forgotten, the companion does.
type companion struct {
	match  func(*goroutine.Stack) bool
	means  string // what each of them stands for, as a sentence
	advice string // what is usually forgotten, as advice
}

// companions is in order: the first that matches counts. What goroutines wait
// for, as opposed to what they are, is in resources.
var companions = []companion{
	{
		loop("net/http.(*persistConn).writeLoop"),
		"There is one for each connection of an HTTP client.",
		"Find responses whose Body is not closed, and a Client or Transport that is made once per request instead of shared.",
	},
	{
		entry("net/http.(*http2clientStream).doRequest", "net/http/internal/http2.(*clientStream).doRequest", "golang.org/x/net/http2.(*clientStream).doRequest"),
		"There is one for each HTTP/2 request that has not ended.",
		"Find responses whose Body is neither read to the end nor closed, and give each request a context with a deadline.",
	},
	{
		loop("database/sql.(*Tx).awaitDone"),
		"There is one for each transaction that is neither committed nor rolled back.",
		"Find BeginTx calls without Commit or Rollback on every path: defer Rollback right after each.",
	},
	{
		loop("database/sql.(*Rows).awaitDone"),
		"There is one for each query whose Rows are open.",
		"Find queries whose Rows are neither read to the end nor closed: defer Close right after each.",
	},
	{
		loop("database/sql.(*DB).connectionOpener", "database/sql.(*DB).connectionCleaner"),
		"There is one for each sql.DB that is not closed.",
		"Find sql.Open in code that runs more than once, and share one DB, or close each.",
	},
	{
		startedBy("google.golang.org/grpc.newClientStreamWithParams.", "google.golang.org/grpc.newClientStream."),
		"There is one for each stream of a gRPC client that has not ended.",
		"End each stream on every path: cancel its context, or call RecvMsg until it returns an error, io.EOF included.",
	},
	{
		startedBy("google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).", "google.golang.org/grpc/internal/resolver/dns."),
		"There are a few for each grpc.ClientConn that is not closed.",
		"Find grpc.NewClient in code that runs more than once, and share one ClientConn, or close each.",
	},
	{
		startedBy("context.(*cancelCtx).propagateCancel."),
		"There is one for each context derived from a parent that package context does not know, such as a web framework's.",
		"Call the cancel function of each derived context on every path: defer it right after the context is made.",
	},
	{
		startedBy("os/signal.NotifyContext."),
		"There is one for each context of signal.NotifyContext that is not stopped.",
		"Find signal.NotifyContext in code that runs more than once, and defer its stop function.",
	},
	{
		startedBy("os/exec.(*Cmd)."),
		"There are some for each child process that is not waited for.",
		"Call Wait for each command that was started, also when its context has ended, and check whether the child process exits.",
	},
	{
		anyOf(leaf("io.(*pipe).read"), leaf("io.(*pipe).write")),
		"They wait for the other end of an io.Pipe.",
		"Close both ends of the pipe on every path: the writer with CloseWithError when it fails, and the reader when it stops early.",
	},
}

// startedBy matches goroutines that were started with a function whose name has
// one of prefixes: function literals, whose numbers change with the version.
func startedBy(prefixes ...string) func(*goroutine.Stack) bool {
	return func(s *goroutine.Stack) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s.Entry().Function, p) })
	}
}

// adviceAt returns what goroutines that block with a stack and a state stand
// for, as a sentence, and what to do about them. means may be empty.
func adviceAt(s *goroutine.Stack, state goroutine.State) (means, advice string) {
	for i := range companions {
		if companions[i].match(s) {
			return companions[i].means, companions[i].advice
		}
	}
	if r, ok := resourceAt(s, state); ok && r.name != "channel" && !state.Lock() {
		return r.out, r.forgotten
	}
	return "", adviceToWake(state)
}

// advise sets the advice of f and adds, as its first evidence, what its
// goroutines stand for.
func (f *Finding) advise() {
	means, advice := adviceAt(f.Stack, f.State)
	f.Advice = advice
	if means != "" {
		f.Evidence = slices.Insert(f.Evidence, 0, means)
		f.Evidence = f.Evidence[:min(len(f.Evidence), MaxEvidence)]
	}
}

const adviceTimer = "Find what should end their loop: stopping a Ticker does not close its channel, so the loop needs a context or a channel beside it, and a caller that ends it."
