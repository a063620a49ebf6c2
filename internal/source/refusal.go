// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"strings"

	"github.com/otelgoroutine/go/internal/parse"
)

// Generation returns the number of the first generation in the trace that the last
// Take read, or 0 if it read none. The runtime counts generations from the start of
// the process, and each trace begins a new one. So of two traces of one process the
// later has the higher number, and a process that has just started begins with 1.
func (r *Remote) Generation() uint64 { return r.parsers.generation }

// noteGeneration remembers the generation of a trace.
func (p *parsers) noteGeneration(data []byte) {
	p.generation = 0
	if at := len(traceHeader); len(data) > at {
		p.generation = parse.TraceGeneration(data[at:])
	}
}

const traceHeader = "go 1.26 trace\x00\x00\x00" // of this length in all versions

// NoTrace returns why Take asks the process for no traces: a value of the attribute
// goroutine.snapshot.skip_reason, and the same for people. Both are empty if it does.
func (r *Remote) NoTrace() (reason, detail string) {
	e := r.reader.Endpoint
	switch {
	case r.target.exact != nil:
		return "error", "the address is one page of the process; give the address of its server"
	case e == Profile, e == Dump:
		return "error", r.reader.settings().Endpoint + " " + string(e) + " is set"
	case e != Trace && r.reader.wantsLabels():
		return "error", "--labels and --values need profiles, which have labels and no goroutine IDs"
	case e != Trace && r.noTrace != nil:
		return r.reader.settings().refusal(r.noTrace)
	}
	return "", ""
}

// refusal returns the reason why a process gave no trace, and the same for people.
func (n *Settings) refusal(err error) (reason, detail string) {
	var status *statusError
	var content *contentError
	switch {
	case errors.As(err, &status):
		if strings.Contains(status.text, "already enabled") || strings.Contains(status.text, "already in use") {
			return "slot_taken", "another execution trace is running"
		}
		return "error", status.text
	case errors.Is(err, parse.ErrTraceVersion) && errors.As(err, &content):
		text := strings.Replace(content.Error(), parse.ErrTraceVersion.Error()+":", "its traces have the format of", 1)
		return "unsupported_version", text + "; " + n.Dump + " has IDs, but stops the process"
	case errors.As(err, &content):
		return "error", content.Error()
	}
	return "error", err.Error()
}

// Retry makes the next Take ask for a trace again.
func (r *Remote) Retry() { r.noTrace = nil }
