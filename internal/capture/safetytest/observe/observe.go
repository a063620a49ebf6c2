// Package observe is what the programs of the test have in common.
package observe

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// For runs works over and over, each on a goroutine of its own that also waits
// for others in between, beside a monitor with the shortest interval, and prints
// how many snapshots each source gave, and how many of them had IDs.
func For(works ...func()) {
	span := flag.Duration("for", 5*time.Second, "how long")
	flag.Parse()
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { fmt.Println("told:", err) }))
	m, err := otelgoroutine.Start(noop.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MinInterval))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	ctx, cancel := context.WithTimeout(context.Background(), *span)
	defer cancel()
	for _, work := range works {
		for range 4 {
			go pass(ctx, work)
		}
	}
	count(ctx, m)
	if err := m.Shutdown(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

// pass works and blocks, so that there are events to trace.
func pass(ctx context.Context, work func()) {
	tokens := make(chan struct{})
	go func() {
		defer close(tokens)
		for ctx.Err() == nil {
			work()
			tokens <- struct{}{}
			time.Sleep(10 * time.Microsecond)
		}
	}()
	for range tokens {
		work()
	}
}

func count(ctx context.Context, m *otelgoroutine.Monitor) {
	taken, ids := make(map[goroutine.Source]int), 0
	var last *goroutine.Snapshot
	for ctx.Err() == nil {
		if s := m.Snapshot(); s != last && s != nil {
			last = s
			taken[s.Source]++
			if s.HasIDs() {
				ids++
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Printf("survived: trace=%d text=%d ids=%d\n", taken[goroutine.SourceTrace], taken[goroutine.SourceText], ids)
}
