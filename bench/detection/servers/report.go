// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// silent reports whether the run was as it should be: it worked, and nothing was
// warned about.
func (t *trial) silent() bool {
	return t.err == nil && t.trouble() == "" && warnings(t.result.Server) == 0 && warnings(t.result.Clients) == 0
}

// trouble says why a run says nothing.
func (t *trial) trouble() string {
	switch {
	case t.err != nil:
		return t.err.Error()
	case t.result.Most == 0:
		return "no client came"
	case t.result.Failed*10 > t.result.Visits:
		return fmt.Sprintf("%d of %d clients failed", t.result.Failed, t.result.Visits)
	}
	if trouble := t.result.ServerSaw.trouble(); trouble != "" {
		return "the monitor of the server: " + trouble
	}
	if trouble := t.result.ClientsSaw.trouble(); trouble != "" {
		return "the monitor of the clients: " + trouble
	}
	return ""
}

// short is a line of progress.
func (t *trial) short() string {
	if trouble := t.trouble(); trouble != "" {
		return "TROUBLE: " + trouble
	}
	return fmt.Sprintf("%d warnings about the server, %d about its clients", warnings(t.result.Server), warnings(t.result.Clients))
}

// warnings counts what is more than information.
func warnings(all []event) (n int) {
	for i := range all {
		if all[i].warned() {
			n++
		}
	}
	return n
}

// report is a document for people.
func report(o *options, trials []trial) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Servers: results\n\n%s, %s, %d cores, %s/%s. Each ran for %v at a scale of %v, which is %v of a service.\n\n",
		time.Now().UTC().Format("2 January 2006"), runtime.Version(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		o.duration, o.scale, time.Duration(float64(o.duration)/o.scale).Round(time.Minute))
	b.WriteString("| server | load | clients at once | visits | failed | warnings: server | clients | information | |\n|:--|:--|--:|--:|--:|--:|--:|--:|:--|\n")
	for i := range trials {
		t := &trials[i]
		r := &t.result
		server, clients := warnings(r.Server), warnings(r.Clients)
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %d | %d | %s |\n", t.server, t.load, r.Most, r.Visits, r.Failed,
			server, clients, informed(r.Server)+informed(r.Clients), verdict(t))
	}
	for i := range trials {
		details(&b, &trials[i])
	}
	return b.String()
}

func verdict(t *trial) string {
	if t.silent() {
		return "PASS"
	}
	return "MISS"
}

// informed counts information.
func informed(all []event) int {
	ended := slices.DeleteFunc(slices.Clone(all), func(e event) bool { return e.Ended || e.warned() })
	return len(ended)
}

// details lists what was told of a server, and why its run failed.
func details(b *strings.Builder, t *trial) {
	if t.silent() && len(t.result.Server)+len(t.result.Clients) == 0 {
		return
	}
	fmt.Fprintf(b, "\n## %s\n\n", t.name())
	if trouble := t.trouble(); trouble != "" {
		fmt.Fprintf(b, "- It failed: %s\n", trouble)
	}
	list(b, "server", t.result.Server)
	list(b, "clients", t.result.Clients)
}

// list writes what was told of one process.
func list(b *strings.Builder, where string, events []event) {
	for _, e := range events {
		if !e.Ended {
			fmt.Fprintf(b, "- %s, after %v: %s (%s): %s\n", where, e.At, e.Detector, e.Confidence, e.Message)
		}
	}
}
