// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package health serves the health of a monitor for a liveness probe: it answers with
// an error once work in the process has stopped for good, as far as its goroutines
// tell.
//
//	mux.Handle("GET /livez", health.Handler(monitor))
//
// # What it answers
//
// Status 503 when a finding of the detectors "hang", "deadlock" or "stall", of the
// confidence confirmed, high or certain, has been open for at least five minutes (see
// [WithUnhealthyAfter]) and was still true in the newest snapshot. Otherwise status
// 200. The body is one line, or a JSON object for a request that accepts
// application/json:
//
//	unhealthy: hang (high) at main.(*press).work (faults.go:143): 27 goroutines stand, open for 6 min
//	ok
//	ok: cannot judge now: hang, deadlock (4 snapshots over at least 60 s are needed; there is 1; possible from 05:41:15 UTC)
//
// A probe must not end what it cannot judge. So the answer is 200 while the process
// has just started, while snapshots are missing or too old, after the monitor was shut
// down, and when there is none; the body says so. Alert on goroutine.detector.status
// and goroutine.snapshot.age to notice that.
//
// # Dangers
//
// A restart helps only when the cause is in the process. If it is in a dependency, the
// hang is there again after the restart, every replica has it at the same time, and a
// probe makes an outage longer. docs/health.md of the module has what to consider, an
// example for Kubernetes, and which faults lead to 503 and when.
//
// # Protection
//
// The package registers no handler by itself. The body names a function, a file and a
// line at most: no arguments, label values, or addresses of memory or of hosts.
// Requests are GET or HEAD.
//
// # Cost and concurrency
//
// A request takes microseconds. It takes no snapshot and waits for nothing but its
// client, also while the monitor itself hangs. Nothing runs between requests. A
// monitor that is asked at least every ten minutes goes on taking snapshots even if
// nothing else hears it ([otelgoroutine.Monitor.Health]). A handler is safe for
// concurrent use.
package health
