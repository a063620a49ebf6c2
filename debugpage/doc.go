// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package debugpage serves the live page. It shows the goroutines of this
// process in a browser, by state and by stack, along with findings and the cost
// of snapshots.
//
//	mux.Handle("/debug/goroutines/", debugpage.Handler(monitor))
//
// # Protection
//
// The package registers no handler by itself. The page shows function names,
// file paths and counts to anyone who can open it. Mount it where net/http/pprof
// is mounted: on a port for operators or behind the same authentication, and
// never on a port that faces the internet. Arguments, label values and memory
// addresses are not shown. The page is read-only but for one resource: a POST request to
// capture takes a snapshot, as [otelgoroutine.Monitor.Capture] does. It costs no more
// than the budget of the monitor, however often it comes, and [WithReadOnly] turns it off.
// All other requests are GET requests, and none of them takes a snapshot.
//
// The page is served only under names that no website can give itself: any IP
// address, localhost, names that end in ".localhost", and the name of the machine,
// each with any port. This serves a request to 127.0.0.1, to a pod's address, or
// through ssh -L or kubectl port-forward. The name of an ingress or of a
// Kubernetes service must be given to [WithHosts]; until then, the response is
// status 403 with a text that says so. Requests that pages of other sites make are
// refused; links to the page are followed. Redirects stay on the host.
//
// # Resources
//
// The handler works under any prefix, with or without [net/http.StripPrefix];
// the pattern must end in a slash. It serves these resources:
//
//	(nothing)         the page
//	data.json         everything the page shows: the latest snapshot, history, findings, cost
//	stack.json?n=12   the details of the stack with this number
//	stream            changes of data.json as they happen, and what the runtime counts
//	                  each second, as server-sent events
//	snapshot.pb.gz    the latest snapshot for go tool pprof
//	report.txt        the text report
//	capture           POST only: takes a snapshot now, saves it where the monitor saves
//	                  files, and sends it for go tool pprof; with Accept: application/json
//	                  it says what was saved instead. Status 503 and the reason if the
//	                  budget or the load does not permit it within 10 s
//
// docs/json.md of the module documents the JSON.
//
// # Cost
//
// The page shows the snapshots that the monitor takes anyway; opening it takes
// no additional ones, and its button Capture takes one. Between them, an open page gets
// the counts of the scheduler each second, which takes microseconds. After [Handler] is called, the counts of past snapshots are
// kept, so that a page has a history when it is opened. They take at most about
// 2 MiB for each handler. While no page is open, nothing runs. A stream uses the
// goroutine of its request. It ends when the browser disconnects, when its tab is
// hidden, or when the monitor or the server is shut down (http.Server.Shutdown
// does not wait for open pages).
//
// # Concurrency
//
// A handler is safe for concurrent use, and any number of handlers may share a
// monitor.
package debugpage
