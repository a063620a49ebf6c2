// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"time"
)

// orderVariable makes this program carry out an order, which it holds as JSON.
const orderVariable = "OTELGOROUTINE_SERVERS_ORDER"

// An order is what a process is to do.
type order struct {
	Server, Load string
	Scale        float64
	Duration     time.Duration
	Address      string // of the server, for its clients; "": to be the server
	Dumps        string // folder for a goroutine dump of each process, late in its time; "": none
}

// A result is what was told in both processes, and what the clients did.
type result struct {
	Server, Clients       []event
	ServerSaw, ClientsSaw sight
	Visits, Failed        int
	Most                  int // clients at once
}

// An event is a finding that the monitor told.
type event struct {
	At         time.Duration // of the service, since the start
	Detector   string
	Confidence string
	Function   string
	Message    string
	Ended      bool
}

// warned reports whether an event is more than information.
func (e *event) warned() bool { return !e.Ended && e.Confidence != "info" }

// carryOut is a process that has an order. It returns the exit status.
func carryOut(text string) int {
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.carryOut()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (o *order) carryOut() error {
	i := slices.IndexFunc(servers, func(s server) bool { return s.name == o.Server })
	j := slices.IndexFunc(loads, func(l load) bool { return l.name == o.Load })
	if i < 0 || j < 0 {
		return fmt.Errorf("no server and load are called %s/%s", o.Server, o.Load)
	}
	c := clock{o.Scale, time.Now()}
	w, err := observe(c)
	if err != nil {
		return err
	}
	if o.Dumps != "" {
		time.AfterFunc(o.Duration*4/5, o.dump)
	}
	r := &result{}
	if o.Address == "" {
		err = beServer(&servers[i], c)
	} else {
		err = beClients(o, &servers[i], &loads[j], c, r)
	}
	if err != nil {
		return err
	}
	r.Server, r.ServerSaw, err = w.end()
	return errors.Join(err, json.NewEncoder(os.Stdout).Encode(r))
}

// dump writes a goroutine dump. The runtime measures waits only from a garbage collection
// on.
func (o *order) dump() {
	side := "clients"
	if o.Address == "" {
		side = "server"
	}
	f, err := os.Create(filepath.Join(o.Dumps, fmt.Sprintf("%s-%s-%s.txt", o.Server, o.Load, side)))
	if err == nil {
		runtime.GC()
		err = errors.Join(pprof.Lookup("goroutine").WriteTo(f, 2), f.Close())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

// beServer prints the address of the server, and returns when the standard input
// ends.
func beServer(s *server, c clock) error {
	address, err := s.serve(c)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(address); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// beClients has clients come and go for the time of the order.
func beClients(o *order, s *server, l *load, c clock, r *result) error {
	visit, err := s.clients(o.Address, c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.Duration)
	defer cancel()
	p := population{visit: visit}
	p.follow(ctx, l, c)
	r.Visits, r.Failed, r.Most = p.visits, int(p.failed.Load()), p.most
	return nil
}

// grace is how much longer than asked processes may take: to start, to end, and
// to be behind on a loaded machine.
const grace = 2 * time.Minute

// try runs a server under a load, in two processes.
func try(ctx context.Context, t *trial, o *options) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.duration+grace)
	defer cancel()
	order := order{Server: t.server, Load: t.load, Scale: o.scale, Duration: o.duration, Dumps: o.dumps}
	server, err := start(ctx, order)
	if err != nil {
		return r, err
	}
	defer server.kill()
	if err := server.read(&order.Address); err != nil {
		return r, err
	}
	clients, err := start(ctx, order)
	if err != nil {
		return r, err
	}
	defer clients.kill()
	if err := clients.read(&r); err != nil {
		return r, err
	}
	r.Clients, r.ClientsSaw = r.Server, r.ServerSaw // what a process tells is in Server
	server.stdin.Close()
	var host result
	err = server.read(&host)
	r.Server, r.ServerSaw = host.Server, host.ServerSaw
	return r, err
}

// A process carries out an order.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	lines  *bufio.Reader
	stderr bytes.Buffer
}

func start(ctx context.Context, o order) (*process, error) {
	self, err := os.Executable()
	text, bad := json.Marshal(o)
	if err := errors.Join(err, bad); err != nil {
		return nil, err
	}
	p := &process{cmd: exec.CommandContext(ctx, self)}
	p.cmd.Env = append(os.Environ(), orderVariable+"="+string(text))
	p.cmd.Stderr = &p.stderr
	stdin, err := p.cmd.StdinPipe()
	stdout, bad := p.cmd.StdoutPipe()
	if err := errors.Join(err, bad); err != nil {
		return nil, err
	}
	p.stdin, p.lines = stdin, bufio.NewReader(stdout)
	return p, p.cmd.Start()
}

// read reads the next line that the process prints as JSON.
func (p *process) read(v any) error {
	line, err := p.lines.ReadBytes('\n')
	if err == nil {
		return json.Unmarshal(line, v)
	}
	_ = p.cmd.Wait()
	return fmt.Errorf("%w; its standard error: %s", err, tail(p.stderr.String(), 2000))
}

// kill ends the process, if it has not ended.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// tail returns the end of s, most bytes of it.
func tail(s string, most int) string {
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return strings.TrimSpace(s)
}
