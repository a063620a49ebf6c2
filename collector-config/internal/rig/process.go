// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"
)

// A Process is a running program. Its methods are safe for concurrent use.
type Process struct {
	name  string
	cmd   *exec.Cmd
	log   *tail
	ended chan struct{}
	err   error // result of Wait; valid once ended is closed
}

// stopTime is how long a program may take to stop.
const stopTime = 10 * time.Second

// start starts a program. Its output goes to out, and the end of the output is
// kept for errors.
func start(name string, out io.Writer, env []string, path string, args ...string) (*Process, error) {
	p := &Process{name: name, cmd: exec.Command(path, args...), log: &tail{}, ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	both := io.MultiWriter(p.log, out)
	p.cmd.Stdout, p.cmd.Stderr = both, both
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Stop asks the program to stop and waits for it. It kills the program if that
// takes too long. Later calls do nothing.
func (p *Process) Stop() {
	if p.cmd.Process.Signal(os.Interrupt) != nil {
		p.Kill() // Windows has no interrupt signal
		return
	}
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		p.Kill()
	}
}

// Kill kills the program immediately and waits until it has ended.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // fails only if the program has already ended
	<-p.ended
}

// Name returns the name of the program in errors.
func (p *Process) Name() string { return p.name }

// LogFile opens the file for a program's output, which is not for the screen. It
// stays open until this process ends.
func LogFile(dir, name string) io.Writer {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return io.Discard
	}
	return f
}

// PID returns the ID of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended returns a channel that is closed when the program has ended, for any
// reason.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output returns the end of the program's output.
func (p *Process) Output() string { return p.log.String() }

// errEnded means that a program ended before it was ready.
var errEnded = errors.New("it has ended")

// waitFor calls ready until it returns nil, the program ends, or ctx ends.
func (p *Process) waitFor(ctx context.Context, ready func(context.Context) error) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
			continue
		case <-p.ended:
			err = errEnded
		case <-ctx.Done():
		}
		return fmt.Errorf("%s did not become ready: %w; output:\n%s", p.name, err, p.Output())
	}
}

// A tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	end bytes.Buffer
}

const tailBytes = 64 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.end.Write(b)
	if over := t.end.Len() - tailBytes; over > 0 {
		t.end.Next(over)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.end.String()
}
