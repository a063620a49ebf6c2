// Package debugpage serves the live page: the goroutines of this process in a
// browser, by state and by stack, with findings and the cost of snapshots.
//
//	mux.Handle("/debug/goroutines/", debugpage.Handler(monitor))
//
// # Protection
//
// The package registers nothing by itself. The page shows function names, file
// paths and counts to anyone who can open it: mount it where net/http/pprof is
// mounted, on a port for operators or behind the same authentication, and never
// on a port that faces the internet. Arguments, the values of labels and
// addresses in memory are not shown. Nothing can be changed through the page;
// everything is a GET.
//
// # Resources
//
// The handler works under any prefix, with or without [net/http.StripPrefix];
// the pattern must end in a slash. Below it are
//
//	(nothing)         the page
//	data.json         everything the page shows: the latest snapshot, history, findings, cost
//	stack.json?n=12   the details of the stack with this number
//	stream            changes of data.json as they happen, as server-sent events
//	snapshot.pb.gz    the latest snapshot for go tool pprof
//	report.txt        the text report
//
// docs/json.md of the module documents the JSON.
//
// # Cost
//
// The page shows the snapshots that the monitor takes anyway: opening it takes
// none. From [Handler] on, the counts of past snapshots are kept, in some 2 MiB
// at most for each handler, so that there is a history when the page is opened.
// While no page is open nothing runs: a stream is the goroutine of its request,
// and ends when the browser leaves or its tab is hidden, when the monitor is
// shut down, or when the server is (http.Server.Shutdown does not wait for open
// pages).
//
// # Concurrency
//
// A handler is safe for concurrent use, and any number of them may share a
// monitor.
package debugpage
