package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// goodbye is how long a server may take to end.
const goodbye = 30 * time.Second

// A server is a child process that serves.
type server struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *json.Decoder
}

// startServer starts a child and returns when it serves.
func startServer(ctx context.Context, o order, stderr io.Writer) (*server, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = stderr
	cmd.WaitDelay = goodbye
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, stdin: stdin, out: json.NewDecoder(stdout)}
	var r ready
	if err := s.out.Decode(&r); err != nil {
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), s.stop())
	}
	s.addr = r.Addr
	return s, nil
}

// say tells the server something and returns its answer.
func (s *server) say(word string) (consumption, error) {
	var u consumption
	if _, err := io.WriteString(s.stdin, word+"\n"); err != nil {
		return u, err
	}
	if err := s.out.Decode(&u); err != nil {
		return u, fmt.Errorf("the server did not answer: %w", err)
	}
	return u, nil
}

// stop ends the server and waits for it; one that hangs is killed.
func (s *server) stop() error {
	hangs := time.AfterFunc(goodbye, func() { _ = s.cmd.Process.Kill() })
	defer hangs.Stop()
	return errors.Join(s.stdin.Close(), s.cmd.Wait())
}

// measure makes one run, in a process of its own.
func measure(ctx context.Context, p plan, stderr io.Writer) (m measurement, err error) {
	sink, err := startSink()
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, sink.stop()) }()
	s, err := startServer(ctx, order{Variant: p.Variant, Parked: p.Parked, Sink: sink.addr()}, stderr)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	g := newGenerator(s.addr, p.Seed)
	defer g.close()
	if p.Warmup > 0 {
		if l, err := g.load(ctx, p, p.Warmup); err != nil || l.errors > 0 {
			return m, errors.Join(err, l.err)
		}
	}
	if _, err := s.say(sayBegin); err != nil {
		return m, err
	}
	before, cpu := sink.arrived(), lab.ProcessCPU()
	l, err := g.load(ctx, p, p.Duration)
	if err != nil {
		return m, err
	}
	cpu = lab.ProcessCPU() - cpu
	u, err := s.say(sayEnd)
	if err != nil {
		return m, err
	}
	m = newMeasurement(p, l, u)
	m.GeneratorCPU = cpu
	m.look(before, sink.arrived())
	return m, nil
}
