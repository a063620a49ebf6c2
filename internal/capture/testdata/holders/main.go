// Holders gets stuck in the way that its argument names. It writes as JSON which
// goroutine holds which lock, as the program itself knows, and what a goroutine
// dump and a trace suggest. The tests compare the two.
//
// The code locks as services do: nothing in it keeps an argument alive for the
// dump. What the program must know is noted before a lock is acquired.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

// A Truth says which locks are held, and what the dump suggests.
type Truth struct {
	Held   map[uint64]uint64     // ID of the goroutine that holds a lock, by the lock's address
	Locks  []goroutine.LockQueue // by a dump
	Traced []goroutine.LockQueue // by a trace
}

var (
	truthLock sync.Mutex
	truth     = Truth{Held: make(map[uint64]uint64)}
)

// takes records that the caller is about to acquire a lock and keep it. Later callers
// wait for the first.
func takes(lock unsafe.Pointer) {
	truthLock.Lock()
	defer truthLock.Unlock()
	if at := uint64(uintptr(lock)); truth.Held[at] == 0 {
		truth.Held[at] = self()
	}
}

// self returns the ID of the calling goroutine.
func self() uint64 {
	var buf [64]byte
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	id, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	return id
}

func main() {
	if os.Args[1] == "child" {
		longWork()
	}
	run := scenes[os.Args[1]]
	if run == nil {
		log.Fatalf("there is no scene %q", os.Args[1])
	}
	settle(run())
	truth.Locks, truth.Traced = locks()
	if err := json.NewEncoder(os.Stdout).Encode(truth); err != nil {
		log.Fatal(err)
	}
}

// locks returns what a dump and a trace show. The trace is one in which no goroutine of
// the runtime was running: until it is known by its stack in another, it is taken for
// one of the program's, which may hold and wake anything.
func locks() (dumped, traced []goroutine.LockQueue) {
	c := capture.New(capture.Config{Budget: capture.Budget{CPU: 100, Pause: time.Minute}, Tracing: true})
	dump, skip := c.Text()
	if skip != nil {
		log.Fatal(skip)
	}
	for range 200 {
		trace, skip := c.Locks()
		switch {
		case skip != nil && skip.Reason == capture.ReasonBudget:
		case skip != nil:
			log.Fatal(skip)
		case trace == nil:
			return dump.Locks, nil
		case !running(trace.Locks) && !strangers(trace.Locks, stacks()):
			return dump.Locks, trace.Locks
		}
		time.Sleep(10 * time.Millisecond)
	}
	log.Fatal("goroutines are running in each of many traces")
	return nil, nil
}

func running(queues []goroutine.LockQueue) bool {
	return slices.ContainsFunc(queues, func(q goroutine.LockQueue) bool {
		return slices.ContainsFunc(q.Holders, func(h goroutine.LockHolder) bool { return h.State == goroutine.Running })
	})
}

// strangers reports whether goroutines that are not in a dump may wake holders.
func strangers(queues []goroutine.LockQueue, dump []byte) bool {
	return slices.ContainsFunc(queues, func(q goroutine.LockQueue) bool {
		return slices.ContainsFunc(q.Holders, func(h goroutine.LockHolder) bool {
			return slices.ContainsFunc(h.Wakers, func(w goroutine.LockWaker) bool {
				return w.ID > 0 && !bytes.Contains(dump, fmt.Appendf(nil, "goroutine %d [", w.ID))
			})
		})
	})
}

// settle returns when this many goroutines are waiting for locks and, in two dumps
// in a row, no goroutine except this one is doing anything.
func settle(waiters int) {
	var last string
	for range 2000 {
		headers, waiting, busy := headersOf(stacks())
		if waiting == waiters && busy == 1 && headers == last {
			return
		}
		last = headers
		time.Sleep(5 * time.Millisecond)
	}
	log.Fatalf("there must be %d waiters:\n%s", waiters, stacks())
}

func headersOf(dump []byte) (all string, waiting, busy int) {
	for line := range strings.Lines(string(dump)) {
		if !strings.HasPrefix(line, "goroutine ") {
			continue
		}
		all += line
		switch {
		case strings.Contains(line, "[sync.Mutex.Lock"), strings.Contains(line, "[sync.RWMutex"):
			waiting++
		case strings.Contains(line, "[runn"):
			busy++
		}
	}
	return all, waiting, busy
}

func stacks() []byte {
	buf := make([]byte, 4<<20)
	return buf[:runtime.Stack(buf, true)]
}

// A meeting makes goroutines arrive before one of them goes on.
type meeting struct{ all sync.WaitGroup }

func newMeeting(n int) *meeting {
	m := new(meeting)
	m.all.Add(n)
	return m
}

func (m *meeting) arrive() {
	m.all.Done()
	m.all.Wait()
}

// never is neither sent to nor closed.
var never = make(chan int)

// crowd starts n goroutines that run f.
func crowd(n int, f func()) {
	for range n {
		go f()
	}
}

// until waits for a dump with n goroutines in this function and state.
func until(n int, function, state string) {
	for range 2000 {
		found := 0
		for g := range strings.SplitSeq(string(stacks()), "\n\n") {
			header, rest, _ := strings.Cut(g, "\n")
			if strings.Contains(header, "["+state) && strings.Contains(rest, function+"(") {
				found++
			}
		}
		if found >= n {
			return
		}
		time.Sleep(time.Millisecond)
	}
	log.Fatalf("%d of %s must be in state %q:\n%s", n, function, state, stacks())
}
