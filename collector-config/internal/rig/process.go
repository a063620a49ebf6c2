package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// A Process is a program that runs. Its methods are safe for concurrent use.
type Process struct {
	name  string
	cmd   *exec.Cmd
	log   *tail
	ended chan struct{}
	err   error // of Wait; valid when ended is closed
}

// stopTime is how long a program has to end by itself.
const stopTime = 10 * time.Second

// start starts a program. What it prints goes to out, and the end of that is
// remembered for errors.
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

// Stop asks the program to end, waits for it, and kills it when it does not.
// Stopping it again does nothing.
func (p *Process) Stop() {
	if p.cmd.Process.Signal(os.Interrupt) != nil {
		p.Kill() // Windows knows no interrupt
		return
	}
	select {
	case <-p.ended:
	case <-time.After(stopTime):
		p.Kill()
	}
}

// Kill ends the program at once and waits for that.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // an error: it has ended already
	<-p.ended
}

// Name is what the program is called in errors.
func (p *Process) Name() string { return p.name }

// Ended is closed when the program has ended, for whatever reason.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Output returns the end of what the program has printed.
func (p *Process) Output() string { return p.log.String() }

// errEnded is why a program is not ready and never will be.
var errEnded = errors.New("it has ended")

// waitFor calls ready until it returns nil, the program ends or ctx does.
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
