// Program runs one concurrency fault of the Go distribution under the real
// monitor, and prints what was found and what is true. The faults are not
// here: the program in the directory above lays them over this one when it
// builds it.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"sync"
	"time"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/bench/detection/internal/events"
	"github.com/otelgoroutine/go/bench/detection/internal/fault"
	"github.com/otelgoroutine/go/bench/detection/internal/leaks"
	"github.com/otelgoroutine/go/otelgoroutine"
)

func main() {
	answer := os.Stdout
	os.Stdout = os.Stderr // some of the faults print
	if err := run(os.Args[1:], answer); err != nil {
		fmt.Fprintln(os.Stderr, "program:", err)
		os.Exit(1)
	}
}

// order is what this process is to do.
var order fault.Order

func run(args []string, answer io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("%d arguments, expected an order", len(args))
	}
	if err := json.Unmarshal([]byte(args[0]), &order); err != nil {
		return fmt.Errorf("the order: %w", err)
	}
	if order.Name == "" {
		return json.NewEncoder(answer).Encode(slices.Sorted(maps.Keys(faults)))
	}
	f, ok := faults[order.Name]
	if !ok {
		return fmt.Errorf("no fault %q", order.Name)
	}
	seen, err := observe(f)
	if err != nil {
		return err
	}
	return json.NewEncoder(answer).Encode(seen)
}

// warmUp is how long the monitor sees a sound program, at the scale of its
// times.
const warmUp = 5 * time.Minute

// observe lets the fault happen under the monitor.
func observe(f func()) (*fault.Observation, error) {
	told := &events.Log{Began: time.Now()}
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), told.Options(order.Scale, order.Proof)...)
	if err != nil {
		return nil, err
	}
	time.Sleep(scaled(warmUp))
	provoke(f)
	var end sync.WaitGroup
	end.Add(1)
	time.AfterFunc(order.Duration, end.Done)
	end.Wait()

	seen := &fault.Observation{Findings: told.All(), Goroutines: runtime.NumGoroutine()}
	if err := monitor.Shutdown(context.Background()); err != nil {
		return nil, err
	}
	seen.Leaked, err = leaks.Ask()
	return seen, err
}

func scaled(d time.Duration) time.Duration { return time.Duration(order.Scale * float64(d)) }

const (
	// pace is the time between two requests that meet the fault.
	pace = time.Minute
	// most is how many goroutines a fault may leave behind before no more
	// requests come.
	most = 20_000
)

// provoke lets the fault happen, once or again and again.
func provoke(f func()) {
	go f()
	if order.Once {
		return
	}
	var again func()
	again = func() {
		if runtime.NumGoroutine() < most {
			go f()
		}
		time.AfterFunc(scaled(pace), again)
	}
	time.AfterFunc(scaled(pace), again)
}

// What the faults' files call.

var faults = make(map[string]func())

func register(name string, f func()) { faults[name] = f }

// yieldCount is how often a fault lets others go first.
const yieldCount = 10

// noProfile stands for the leak profile that each fault writes at its end: it
// is asked for once, at the end of the process.
type noProfile struct{}

func (noProfile) WriteTo(io.Writer, int) error { return nil }

func lookup(func(string) *pprof.Profile) noProfile { return noProfile{} }

// instances is how many instances of its fault a program starts, of the n that
// it starts on its own to hit it once: a request starts a few.
func instances(n int) int {
	if order.Once {
		return n
	}
	return min(n, 4)
}

// The faults are laid over; without them nobody calls these.
var _ = []any{register, lookup, instances, yieldCount}
