// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/internal/otlptest"
)

// An order is what server a child is to be.
type order struct {
	Variant string
	Parked  int
	Sink    string // where telemetry goes, as host:port
}

// A consumption is what the server used since its start.
type consumption struct {
	CPU      time.Duration
	Peak     int64 // bytes of memory: at most since the last mark
	Resident int64
	GCs      uint64
	Hits     int64 // requests by where the answer came from
	Reads    int64
	Writes   int64
	Troubles []string // of telemetry
}

// since returns what was used since a consumption before.
func (u consumption) since(before consumption) consumption {
	u.CPU -= before.CPU
	u.GCs -= before.GCs
	u.Hits -= before.Hits
	u.Reads -= before.Reads
	u.Writes -= before.Writes
	return u
}

// A mark parts the time before from the time after: in between, the server has
// exported what it had and collected its garbage, so that every variant begins
// alike.
type mark struct{ Before, After consumption }

// serve is the process of a server, and a service's main: first telemetry, then
// everything else. It writes its address, and a mark for each line that it
// reads, until there are no more.
func serve(o order) (answer any, err error) {
	ctx := context.Background()
	g := &gauge{}
	otel.SetErrorHandler(g)
	i := slices.IndexFunc(variants, func(v variant) bool { return v.name == o.Variant })
	if i < 0 {
		return nil, fmt.Errorf("no variant %q", o.Variant)
	}
	if start := variants[i].start; start != nil {
		if g.telemetry, err = newTelemetry(ctx, o.Sink); err == nil {
			err = start(g.telemetry)
		}
	}
	if err := errors.Join(err, park(o.Parked)); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(fastDir(), "bench-service-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if g.service, err = openService(ctx, dir); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.service.close()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: g.service.handler(), ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	defer server.Close()
	out := json.NewEncoder(os.Stdout)
	err = out.Encode(listener.Addr().String())
	for lines := bufio.NewScanner(os.Stdin); err == nil && lines.Scan(); {
		err = out.Encode(g.mark(ctx))
	}
	return nil, err
}

// fastDir is where Linux keeps files in memory, and elsewhere "", for the usual
// place: a disk's moods are not what is measured.
func fastDir() string {
	const dir = "/dev/shm"
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// A gauge measures what the process uses.
type gauge struct {
	service   *service
	telemetry *telemetry

	mu       sync.Mutex
	troubles []string // given to OpenTelemetry's error handler
}

// Handle takes an error of OpenTelemetry's.
func (g *gauge) Handle(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.troubles = append(g.troubles, err.Error())
}

func (g *gauge) mark(ctx context.Context) (m mark) {
	m.Before = g.now()
	if err := g.telemetry.flush(ctx); err != nil {
		g.Handle(err)
	}
	runtime.GC()
	lab.ResetPeakMemory()
	m.After = g.now()
	m.Before.Troubles = m.After.Troubles // those of the last export, too
	return m
}

func (g *gauge) now() consumption {
	gcs := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(gcs)
	u := consumption{
		CPU: lab.ProcessCPU(), GCs: gcs[0].Value.Uint64(),
		Hits: g.service.hits.Load(), Reads: g.service.reads.Load(), Writes: g.service.writes.Load(),
	}
	u.Peak, u.Resident = lab.ResidentMemory()
	g.mu.Lock()
	defer g.mu.Unlock()
	u.Troubles = slices.Clone(g.troubles)
	return u
}

// A server is a child process that serves.
type server struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *json.Decoder
}

// startServer starts a child and returns when it serves.
func startServer(ctx context.Context, o order, stderr io.Writer) (*server, error) {
	cmd, err := lab.Command(ctx, "", o)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = stderr
	stdin, noIn := cmd.StdinPipe()
	stdout, noOut := cmd.StdoutPipe()
	if err := errors.Join(noIn, noOut); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{cmd: cmd, stdin: stdin, out: json.NewDecoder(stdout)}
	if err := s.out.Decode(&s.addr); err != nil {
		return nil, errors.Join(fmt.Errorf("the server did not start: %w", err), s.stop())
	}
	return s, nil
}

// mark has the server set a mark.
func (s *server) mark() (m mark, err error) {
	if _, err = io.WriteString(s.stdin, "\n"); err == nil {
		err = s.out.Decode(&m)
	}
	if err != nil {
		err = fmt.Errorf("the server did not answer: %w", err)
	}
	return m, err
}

// stop ends the server and waits for it.
func (s *server) stop() error { return errors.Join(s.stdin.Close(), s.cmd.Wait()) }

// measure makes one run, in a process of its own.
func measure(ctx context.Context, p plan, stderr io.Writer) (m measurement, err error) {
	arrivals := newArrivals()
	receiver, err := otlptest.Start(arrivals)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, receiver.Stop()) }()
	ctx, cancel := context.WithTimeout(ctx, p.warmup+p.duration+lab.Grace) // ends a server that hangs
	defer cancel()
	s, err := startServer(ctx, order{Variant: p.variant.name, Parked: p.parked, Sink: receiver.Addr()}, stderr)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	g := newGenerator(s.addr, p.seed)
	defer g.close()
	if l, err := g.load(ctx, p, p.warmup); err != nil || l.errors > 0 {
		return m, errors.Join(err, l.err)
	}
	begin, err := s.mark()
	if err != nil {
		return m, err
	}
	m.plan = p
	before, _ := arrivals.of(p.variant)
	cpu := lab.ProcessCPU()
	if m.loaded, err = g.load(ctx, p, p.duration); err != nil {
		return m, err
	}
	m.generatorCPU = lab.ProcessCPU() - cpu
	end, err := s.mark()
	m.consumption = end.Before.since(begin.After)
	m.snapshots, m.seen = arrivals.of(p.variant)
	m.snapshots -= before
	if p.variant.source == collection {
		m.snapshots = max(m.snapshots-1, 0) // without that of the export that ends the measured time
	}
	return m, err
}
