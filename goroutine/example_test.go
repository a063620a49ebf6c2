// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine_test

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

// snapshot has a worker pool whose results are not received, and an idle server.
func snapshot() *goroutine.Snapshot {
	worker := goroutine.NewStack([]goroutine.Frame{
		{Function: "runtime.gopark", File: "/go/src/runtime/proc.go", Line: 462},
		{Function: "runtime.chansend1", File: "/go/src/runtime/chan.go", Line: 161},
		{Function: "example.com/shop/worker.(*Pool).run", File: "/shop/worker/pool.go", Line: 42},
		{Function: "example.com/shop/worker.(*Pool).Start.func1", File: "/shop/worker/pool.go", Line: 25},
	})
	server := goroutine.NewStack([]goroutine.Frame{
		{Function: "internal/poll.(*FD).Accept", File: "/go/src/internal/poll/fd_unix.go", Line: 613},
		{Function: "net/http.(*Server).Serve", File: "/go/src/net/http/server.go", Line: 3488},
		{Function: "main.main", File: "/shop/main.go", Line: 31},
	})
	start := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	return &goroutine.Snapshot{
		Time:   start.Add(10 * time.Minute),
		Source: goroutine.SourceTrace,
		Total:  9,
		Groups: []goroutine.Group{
			{Stack: worker, State: goroutine.ChanSend, Count: 8, Births: []goroutine.Cohort{{Epoch: 1, Count: 8}}},
			{Stack: server, State: goroutine.IOWait, Count: 1, Births: []goroutine.Cohort{{Epoch: 0, Count: 1}}},
		},
		Epochs: []goroutine.Epoch{{LastID: 20, End: start}, {LastID: 80, End: start.Add(time.Minute)}},
	}
}

// Every goroutine is in exactly one group, and the largest group comes first.
func ExampleSnapshot() {
	s := snapshot()
	for i := range s.Groups {
		g := &s.Groups[i]
		born, _ := s.Oldest(g)
		fmt.Printf("%d in %s at %s, for at least %v\n", g.Count, g.State, g.Stack.User().Function, s.Time.Sub(born))
	}
	fmt.Println(s.Total, "goroutines")
	// Output:
	// 8 in chan send at example.com/shop/worker.(*Pool).run, for at least 9m0s
	// 1 in IO wait at main.main, for at least 10m0s
	// 9 goroutines
}

func ExampleSnapshot_States() {
	states := snapshot().States()
	fmt.Println(states[goroutine.ChanSend], states[goroutine.IOWait], states[goroutine.Running])
	// Output: 8 1 0
}

// A stack has frames of the runtime and the standard library. User is where the
// goroutine is in the code of the service, Entry what it was started for.
func ExampleStack() {
	s := snapshot().Groups[0].Stack
	fmt.Println(s.User())
	fmt.Println(s.Entry())
	fmt.Print(s.Text(1024))
	// Output:
	// example.com/shop/worker.(*Pool).run (/shop/worker/pool.go:42)
	// example.com/shop/worker.(*Pool).Start.func1 (/shop/worker/pool.go:25)
	// example.com/shop/worker.(*Pool).run(...)
	// 	/shop/worker/pool.go:42
	// example.com/shop/worker.(*Pool).Start.func1(...)
	// 	/shop/worker/pool.go:25
}

// A StackID depends on the functions and not on the lines, so it outlives a
// release that moves code around.
func ExampleStackID() {
	before := goroutine.NewStack([]goroutine.Frame{{Function: "main.work", Line: 10}, {Function: "main.main", Line: 50}})
	after := goroutine.NewStack([]goroutine.Frame{{Function: "main.work", Line: 17}, {Function: "main.main", Line: 64}})
	fmt.Println(before.ID == after.ID)
	// Output: true
}

func ExampleState() {
	for _, s := range []goroutine.State{goroutine.Running, goroutine.MutexLock, goroutine.ChanReceiveNil} {
		fmt.Printf("%s: %s, blocked %t, forever %t\n", s, s.Category(), s.Blocked(), s.Never())
	}
	// Output:
	// running: running, blocked false, forever false
	// sync.Mutex.Lock: mutex, blocked true, forever false
	// chan receive (nil chan): channel, blocked true, forever true
}

// The highest ID of each snapshot divides the goroutines by their time of birth.
func ExampleBirths() {
	var births goroutine.Births
	start := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	births.Close(20, start)

	cohorts := []goroutine.Cohort{births.Cohort(7), births.Cohort(21)}
	epochs := births.Close(30, start.Add(time.Minute))
	for _, c := range cohorts {
		fmt.Println("born by", epochs[c.Epoch].End.Format(time.TimeOnly))
	}
	// Output:
	// born by 08:00:00
	// born by 08:01:00
}

// A series that is thinned whenever it grows stays dense near its end.
func ExampleThin() {
	start := time.Date(2026, 11, 26, 8, 0, 0, 0, time.UTC)
	var series []time.Time
	for minute := range 60 {
		series = append(series, start.Add(time.Duration(minute)*time.Minute))
		series = goroutine.Thin(series, 8, 2, func(t time.Time) time.Time { return t })
	}
	for _, t := range series {
		fmt.Print(t.Format("15:04 "))
	}
	fmt.Println()
	// Output: 08:00 08:32 08:48 08:52 08:56 08:57 08:58 08:59
}
