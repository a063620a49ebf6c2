// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hosttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// role is the environment variable that makes this test binary a child process.
const role = "OTELGOROUTINE_HOSTTEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "service":
		serve()
	case "busy":
		work()
	default:
		os.Exit(m.Run())
	}
}

// A plan is what a service does. It is the first line of its standard input.
type plan struct {
	Interval time.Duration // between snapshots; 0: the default
}

// An update is what a service says of an otelgoroutine.Update: one JSON object a
// line.
type update struct {
	At       time.Time
	Source   goroutine.Source // "": no snapshot was taken
	Took     time.Duration    // the snapshot, on the clock
	Late     time.Duration    // how long the process could not run before it
	Skips    []otelgoroutine.Skip
	Detected []string      // detectors of new findings
	CPU      time.Duration // that the process has used so far
}

// What a service is told on its standard input, after its plan.
const (
	plantDeadlock = 'd'
	stopInTrace   = 's' // stop in the middle of the next trace
)

// serve is the service: a few goroutines that do next to nothing, and the monitor.
// It ends with its input.
func serve() {
	in := bufio.NewReader(os.Stdin)
	var p plan
	line, err := in.ReadBytes('\n')
	check(err)
	check(json.Unmarshal(line, &p))
	for range 3 {
		go tick()
	}
	deadlock := deadlock()
	var options []otelgoroutine.Option
	if p.Interval > 0 {
		options = append(options, otelgoroutine.WithInterval(p.Interval))
	}
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), options...)
	check(err)
	out := json.NewEncoder(os.Stdout)
	m.Subscribe(func(u otelgoroutine.Update) { check(out.Encode(tell(u))) })
	for {
		switch order, err := in.ReadByte(); {
		case err != nil:
			os.Exit(0)
		case order == plantDeadlock:
			close(deadlock)
		case order == stopInTrace:
			go stopTraced()
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
}

func tell(u otelgoroutine.Update) update {
	told := update{At: time.Now(), Skips: u.Skips, CPU: usedCPU()}
	if u.Snapshot != nil {
		told.Source, told.Took, told.Late = u.Snapshot.Source, u.Snapshot.Duration, u.Snapshot.Late
	}
	for _, e := range u.Events {
		if e.Kind == detectors.Detected {
			told.Detected = append(told.Detected, e.Finding.Detector)
		}
	}
	return told
}

func usedCPU() time.Duration {
	var u syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &u))
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// stopTraced stops this process as soon as a trace is on: in the middle of a
// capture, unless this goroutine is delayed just then.
func stopTraced() {
	for !trace.IsEnabled() {
		time.Sleep(10 * time.Microsecond)
	}
	check(syscall.Kill(os.Getpid(), syscall.SIGSTOP))
}

// tick is a goroutine of a service without work.
func tick() {
	for range time.Tick(100 * time.Millisecond) {
		runtime.Gosched()
	}
}

// deadlock makes two goroutines that wait for each other once the channel is closed.
// They are there from the start, so that no count of goroutines shows the fault.
func deadlock() chan<- struct{} {
	begin := make(chan struct{})
	var a, b sync.Mutex
	var met sync.WaitGroup
	met.Add(2)
	go transfer(&a, &b, begin, &met)
	go transfer(&b, &a, begin, &met)
	return begin
}

//go:noinline
func transfer(from, to *sync.Mutex, begin <-chan struct{}, met *sync.WaitGroup) {
	<-begin
	from.Lock()
	defer from.Unlock()
	met.Done()
	met.Wait()
	to.Lock()
	defer to.Unlock()
}

// work is a process that keeps one core busy until its input ends.
func work() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	for spun := new(atomic.Int64); ; {
		spun.Add(1)
	}
}

// A service is a child process with a monitor.
type service struct {
	*exec.Cmd
	in      io.WriteCloser
	updates chan update
}

// start starts a service.
func start(t *testing.T, p plan) *service {
	t.Helper()
	cmd, in := child(t, "service")
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	s := &service{cmd, in, make(chan update, 10_000)}
	line, err := json.Marshal(p)
	require.NoError(t, err)
	_, err = in.Write(append(line, '\n'))
	require.NoError(t, err)
	go func() {
		defer close(s.updates)
		for lines := json.NewDecoder(out); ; {
			var u update
			if lines.Decode(&u) != nil {
				return
			}
			s.updates <- u
		}
	}()
	return s
}

// busy keeps n cores busy, or shares those that there are among n processes.
func busy(t *testing.T, n int) {
	t.Helper()
	for range n {
		cmd, _ := child(t, "busy")
		require.NoError(t, cmd.Start())
	}
}

// child returns a process that ends with the test.
func child(t *testing.T, as string) (*exec.Cmd, io.WriteCloser) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	t.Cleanup(func() {
		_ = in.Close()
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	return cmd, in
}
