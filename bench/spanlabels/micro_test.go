package spanlabels

import (
	"context"
	"net/http"
	"runtime"
	"sort"
	"syscall"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/otelgoroutine/go/spanlabels"
)


func httpCtx() context.Context {
	ctx := context.WithValue(context.Background(), http.ServerContextKey, 1)
	ctx = context.WithValue(ctx, http.LocalAddrContextKey, 1)
	ctx, _ = context.WithCancel(ctx)
	ctx, _ = context.WithCancel(ctx)
	return ctx
}

func cpu() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(1, &r) // thread
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func TestMicro(t *testing.T) {
	tp := sdktrace.NewTracerProvider()
	runtime.LockOSThread()
	ctx := httpCtx()
	run := func(p trace.TracerProvider) func() time.Duration {
		tr := p.Tracer("x")
		return func() time.Duration {
			b := cpu()
			for range 20000 {
				_, s := tr.Start(ctx, "x")
				s.End()
			}
			return (cpu() - b) / 20000
		}
	}
	off, on := run(tp), run(spanlabels.Wrap(tp))
	var offs, ons []int
	for range 40 {
		offs = append(offs, int(off()))
		ons = append(ons, int(on()))
	}
	sort.Ints(offs)
	sort.Ints(ons)
	t.Log("off", offs[4], offs[20], "on", ons[4], ons[20], "delta", ons[4]-offs[4], ons[20]-offs[20])
}
