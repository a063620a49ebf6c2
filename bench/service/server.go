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

// What the parent says, a line each. The child answers each with a line of
// JSON, and begins with one, its address. The end of its input ends it.
const (
	sayBegin = "begin" // the answer is a consumption so far
	sayEnd   = "end"   // the answer is a consumption since begin
)

// A consumption is what the server used.
type consumption struct {
	CPU      time.Duration `json:"cpu"`
	Peak     int64         `json:"peak"` // bytes of memory: at most meanwhile
	Resident int64         `json:"resident"`
	GCs      uint64        `json:"gcs"`
	Hits     int64         `json:"hits"` // requests by where the answer came from
	Reads    int64         `json:"reads"`
	Writes   int64         `json:"writes"`
	Troubles []string      `json:"troubles,omitempty"` // of telemetry
}

// serve is the process of a server, and a service's main: first telemetry, then
// everything else.
func serve(o order) (answer any, err error) {
	ctx := context.Background()
	g := &gauge{out: json.NewEncoder(os.Stdout)}
	otel.SetErrorHandler(g)
	if g.telemetry, err = startVariant(ctx, o.Variant, o.Sink); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, g.telemetry.shutdown(ctx)) }()
	if err := park(o.Parked); err != nil {
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
	if err := g.out.Encode(listener.Addr().String()); err != nil {
		return nil, err
	}
	return nil, g.obey(ctx, os.Stdin)
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
	out       *json.Encoder
	service   *service
	telemetry *telemetry
	began     consumption

	mu       sync.Mutex
	troubles []string // given to OpenTelemetry's error handler
}

// Handle takes an error of OpenTelemetry's.
func (g *gauge) Handle(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.troubles = append(g.troubles, err.Error())
}

// obey does what the parent says until it says no more.
func (g *gauge) obey(ctx context.Context, stdin io.Reader) error {
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		answer, err := g.answer(ctx, lines.Text())
		if err := errors.Join(err, g.out.Encode(answer)); err != nil {
			return err
		}
	}
	return nil
}

// answer lets every variant begin alike: what was measured so far is exported,
// and garbage collected. At the end it measures first, and exports then.
func (g *gauge) answer(ctx context.Context, word string) (u consumption, err error) {
	switch word {
	case sayBegin:
		err = g.telemetry.flush(ctx)
		runtime.GC()
		lab.ResetPeakMemory()
		g.began = g.now()
		return g.began, err
	case sayEnd:
		u = g.now()
		u.Peak, u.Resident = lab.ResidentMemory()
		u.CPU -= g.began.CPU
		u.GCs -= g.began.GCs
		u.Hits -= g.began.Hits
		u.Reads -= g.began.Reads
		u.Writes -= g.began.Writes
		err = g.telemetry.flush(ctx)
		g.mu.Lock()
		defer g.mu.Unlock()
		u.Troubles = slices.Clone(g.troubles)
		return u, err
	}
	return u, fmt.Errorf("the parent said %q", word)
}

func (g *gauge) now() consumption {
	gcs := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(gcs)
	return consumption{
		CPU: lab.ProcessCPU(), GCs: gcs[0].Value.Uint64(),
		Hits: g.service.hits.Load(), Reads: g.service.reads.Load(), Writes: g.service.writes.Load(),
	}
}

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

// say tells the server something and returns its answer.
func (s *server) say(word string) (u consumption, err error) {
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
	arrivals := newArrivals()
	receiver, err := otlptest.Start(arrivals)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, receiver.Stop()) }()
	s, err := startServer(ctx, order{Variant: p.Variant, Parked: p.Parked, Sink: receiver.Addr()}, stderr)
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
	before, cpu := arrivals.soFar(), lab.ProcessCPU()
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
	m.observed(before, arrivals.soFar())
	return m, nil
}
