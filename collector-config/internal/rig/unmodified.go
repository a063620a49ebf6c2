// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"io"
)

// An UnmodifiedConfig says how to run the example as a service that was not built
// with otelgoroutine.
type UnmodifiedConfig struct {
	Program string // path returned by BuildExample
	Addr    string // address at which it serves net/http/pprof
	Faults  string // value of the flag -faults
	Out     io.Writer
}

// StartUnmodified starts the example without its monitor, which then is a program
// with net/http/pprof and nothing else to observe it by. It waits until that is
// served.
func StartUnmodified(ctx context.Context, c UnmodifiedConfig) (*Process, error) {
	p, err := start("the service at "+c.Addr, c.Out, []string{"OTELGOROUTINE_ENABLED=false"}, c.Program, "-http", c.Addr, "-faults", c.Faults)
	if err != nil {
		return nil, err
	}
	if err := p.waitFor(ctx, answers("http://"+c.Addr+"/debug/pprof/")); err != nil {
		p.Stop()
		return nil, err
	}
	return p, nil
}
