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
	"runtime"
	"runtime/metrics"
	"sync"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// childVariable makes this program a server. It holds an order as JSON.
const childVariable = "OTELGOROUTINE_BENCH_SERVICE"

// An order is what server a child is to be.
type order struct {
	Variant string
	Parked  int
	Sink    string // where telemetry goes, as host:port
}

// What the parent says, a line each. The child answers each with a line of
// JSON, and begins with one, a ready. The end of its input ends it.
const (
	sayBegin = "begin" // the answer is an empty consumption
	sayEnd   = "end"   // the answer is a consumption
)

// A ready says that the child serves.
type ready struct {
	Addr string
}

// A consumption is what the server used between begin and end.
type consumption struct {
	CPU                 time.Duration
	Peak, Resident      int64 // bytes of memory: at most meanwhile, and at the end
	GCs                 uint64
	Hits, Reads, Writes int64 // requests by where the answer came from
	Troubles            []string
}

// child is the process of a server. It returns the exit status.
func child(text string, stdin io.Reader, stdout, stderr io.Writer) int {
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = serve(context.Background(), o, stdin, json.NewEncoder(stdout))
	}
	if err != nil {
		fmt.Fprintf(stderr, "server: %v\n", err)
		return 1
	}
	return 0
}

// serve is a service's main: first telemetry, then everything else.
func serve(ctx context.Context, o order, stdin io.Reader, out *json.Encoder) (err error) {
	var troubles troubles
	otel.SetErrorHandler(&troubles)
	t, err := startVariant(ctx, o.Variant, o.Sink)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.shutdown(ctx)) }()
	if err := park(o.Parked); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(fastDir(), "bench-service-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := openService(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: s.handler(), ReadHeaderTimeout: time.Minute}
	go server.Serve(listener)
	defer server.Close()
	if err := out.Encode(ready{Addr: listener.Addr().String()}); err != nil {
		return err
	}
	return obey(ctx, stdin, out, &gauge{service: s, telemetry: t, troubles: &troubles})
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

// obey does what the parent says until it says no more.
func obey(ctx context.Context, stdin io.Reader, out *json.Encoder, g *gauge) error {
	for lines := bufio.NewScanner(stdin); lines.Scan(); {
		var answer consumption
		var err error
		switch lines.Text() {
		case sayBegin:
			err = g.begin(ctx)
		case sayEnd:
			answer, err = g.end(ctx)
		default:
			err = fmt.Errorf("the parent said %q", lines.Text())
		}
		if err == nil {
			err = out.Encode(answer)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// A gauge measures what the process uses.
type gauge struct {
	service   *service
	telemetry *telemetry
	troubles  *troubles
	began     consumption
}

// begin lets every variant start alike: what was measured so far is exported,
// and garbage collected.
func (g *gauge) begin(ctx context.Context) error {
	if err := g.telemetry.flush(ctx); err != nil {
		return err
	}
	runtime.GC()
	lab.ResetPeakMemory()
	g.began = g.now()
	return nil
}

// end measures first, and exports then.
func (g *gauge) end(ctx context.Context) (consumption, error) {
	u := g.now()
	u.Peak, u.Resident = lab.ResidentMemory()
	u.CPU -= g.began.CPU
	u.GCs -= g.began.GCs
	u.Hits -= g.began.Hits
	u.Reads -= g.began.Reads
	u.Writes -= g.began.Writes
	err := g.telemetry.flush(ctx)
	u.Troubles = g.troubles.all()
	return u, err
}

func (g *gauge) now() consumption {
	gcs := []metrics.Sample{{Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(gcs)
	return consumption{
		CPU: lab.ProcessCPU(), GCs: gcs[0].Value.Uint64(),
		Hits: g.service.hits.Load(), Reads: g.service.reads.Load(), Writes: g.service.writes.Load(),
	}
}

// troubles keeps what is given to OpenTelemetry's error handler.
type troubles struct {
	mu   sync.Mutex
	said []string
}

// Handle takes an error.
func (t *troubles) Handle(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said = append(t.said, err.Error())
}

func (t *troubles) all() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.said...)
}
