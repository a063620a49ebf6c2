// Kinds writes the crash of every kind, as one version of Go prints it, into one file:
// each after a line "-- NAME --". Each runs in a process of its own. It needs nothing but
// the standard library of Go 1.22. From internal/diagnosis, for each version of Go:
//
//	mkdir /tmp/kinds && cp testdata/gen/kinds/main.go /tmp/kinds && cd /tmp/kinds
//	printf 'module kinds\ngo 1.22\n' > go.mod
//	export GOTOOLCHAIN=go1.22.12
//	CGO_ENABLED=0 go build -trimpath -o kinds && ./kinds plain > kinds.txt
//	go build -trimpath -race -o kinds && ./kinds race >> kinds.txt
//	go build -trimpath -gcflags=all=-d=checkptr -o kinds && ./kinds checkptr >> kinds.txt
//
// and then the same with kindsc, which has the faults in C, and gzip -9n.
package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

type fault struct {
	name string
	run  func()
}

var groups = map[string][]fault{
	"plain": {
		{"panic-nil-pointer", func() { fmt.Println((*session)(nil).greeting()) }},
		{"panic-nil-field", func() { fmt.Println((*session)(nil).id()) }},
		{"panic-nil-function", func() { var f func(); f() }},
		{"panic-nil-map", func() { var m map[string]int; m["a"] = 1 }},
		{"panic-index", func() { fmt.Println([]int{1, 2, 3}[five]) }},
		{"panic-slice", func() { fmt.Println([]int{1, 2, 3}[five:]) }},
		{"panic-slice-to-array", func() { fmt.Println([4]int([]int{1, 2, 3}[:five-2])) }},
		{"panic-divide", func() { fmt.Println(1 / (five - 5)) }},
		{"panic-shift", func() { fmt.Println(1 << (five - 6)) }},
		{"panic-make", func() { fmt.Println(len(make([]int, five-6))) }},
		{"panic-conversion", func() { fmt.Println(any("three").(int)) }},
		{"panic-missing-method", func() { fmt.Println(any("three").(fmt.Stringer)) }},
		{"panic-nil-conversion", func() { fmt.Println(any(nil).(int)) }},
		{"panic-unhashable", func() { fmt.Println(map[any]int{any([]int{1}): 1}) }},
		{"panic-compare", func() { fmt.Println(any([]int{1}) == any([]int{2})) }},
		{"panic-close-closed", func() { c := make(chan int); close(c); close(c) }},
		{"panic-close-nil", func() { var c chan int; close(c) }},
		{"panic-send-closed", func() { c := make(chan int, 1); close(c); c <- 1 }},
		{"panic-wait-group", func() { var wg sync.WaitGroup; wg.Done() }},
		{"panic-string", func() { panic("no route to " + os.Args[0][:0] + "warehouse") }},
		{"panic-error", func() { panic(fmt.Errorf("loading: %w", errors.New("permission denied"))) }},
		{"panic-lines", func() { panic(&lines{"first line", "second line"}) }},
		{"panic-text-of-a-dump", func() { panic(errors.New("worker failed\n\ngoroutine five of the fleet\npanic: not this one")) }},
		{"panic-struct", func() { panic(session{name: "x"}) }},
		{"panic-int", func() { panic(number(7)) }},
		{"panic-nil", func() { panic(nil) }},
		{"panic-error-that-panics", func() { panic((*lines)(nil)) }},
		{"panic-recovered-again", repanicked},
		{"panic-recovered-other", func() { defer func() { recover(); panic("shutdown failed") }(); panic("first") }},
		{"panic-deferred", func() { defer func() { panic("in a deferred call") }(); panic("first") }},
		{"panic-deferred-twice", func() {
			defer func() { panic("third") }()
			defer func() { panic("second") }()
			panic("first")
		}},
		{"panic-after-goexit", func() {
			go func() { defer func() { panic("while it ended") }(); runtime.Goexit() }()
			time.Sleep(time.Second)
		}},
		{"panic-address", func() { debug.SetPanicOnFault(true); fmt.Println(*(*int)(far())) }},
		{"panic-in-handler", handler},
		{"fatal-map-writes", func() { m := map[int]int{}; go tally(m); go tally(m); tally(m) }},
		{"fatal-map-read-and-write", func() { m := map[int]int{}; go tally(m); read(m) }},
		{"fatal-map-iteration", func() { m := map[int]int{1: 1}; go tally(m); iterate(m) }},
		{"fatal-unlock", func() { var mu sync.Mutex; mu.Unlock() }},
		{"fatal-rw-unlock", func() { var mu sync.RWMutex; mu.Unlock() }},
		{"fatal-rw-runlock", func() { var mu sync.RWMutex; mu.RUnlock() }},
		{"fatal-asleep-receive", func() { <-make(chan int) }},
		{"fatal-asleep-nil-channel", func() { var c chan int; <-c }},
		{"fatal-asleep-select", func() { select {} }},
		{"fatal-asleep-cases", func() {
			a, b := make(chan int), make(chan int)
			select {
			case <-a:
			case b <- 1:
			}
		}},
		{"fatal-asleep-mutex", func() { var mu sync.Mutex; mu.Lock(); mu.Lock() }},
		{"fatal-asleep-rwmutex", func() { var mu sync.RWMutex; mu.RLock(); mu.Lock() }},
		{"fatal-asleep-group", func() { var wg sync.WaitGroup; wg.Add(1); go func() { select {} }(); wg.Wait() }},
		{"fatal-asleep-cond", func() { c := sync.NewCond(new(sync.Mutex)); c.L.Lock(); c.Wait() }},
		{"fatal-goexit", func() { runtime.Goexit() }},
		{"fatal-goexit-others", func() { go func() { select {} }(); runtime.Goexit() }},
		{"fatal-stack-overflow", func() { fmt.Println(deeper(1)) }},
		{"fatal-stack-overflow-of-two", func() { fmt.Println(even(1)) }},
		{"fatal-out-of-memory", func() {
			syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 1 << 30, Max: 1 << 30})
			fmt.Println(len(make([]byte, five<<30)))
		}},
		{"fatal-threads", threads},
		{"fatal-fault", func() { fmt.Println(*(*int)(far())) }},
		{"fatal-bus", bus},
		{"signal-quit", signal(syscall.SIGQUIT)},
		{"signal-abort", signal(syscall.SIGABRT)},
		{"signal-segv-sent", signal(syscall.SIGSEGV)},
		{"signal-fpe-sent", signal(syscall.SIGFPE)},
		{"signal-ill-sent", signal(syscall.SIGILL)},
		{"signal-trap", func() { runtime.Breakpoint() }},
	},
	"race":     {{"race", race}},
	"checkptr": {{"fatal-checkptr", straddles}},
}

var five = len(os.Args[0][:0]) + 5 // the compiler does not know it

func main() {
	if name := os.Getenv("FAULT"); name != "" {
		for _, faults := range groups {
			for _, f := range faults {
				if f.name == name {
					run(f.run)
				}
			}
		}
		return
	}
	for _, f := range groups[os.Args[1]] {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		c := exec.CommandContext(ctx, "/proc/self/exe")
		c.Env = append(os.Environ(), "FAULT="+f.name, "GOTRACEBACK=all", "GORACE=halt_on_error=1", "GOMAXPROCS=4")
		out, _ := c.CombinedOutput() // which fails, as it should
		cancel()
		fmt.Printf("-- %s --\n%s\n", f.name, strings.TrimSpace(string(out)))
	}
}

// run has a frame of its own, so that each fault has a caller.
//
//go:noinline
func run(f func()) { f() }

type number int

type session struct {
	name string
	n    int
}

//go:noinline
func (s *session) greeting() string { return "hello " + s.name }

//go:noinline
func (s *session) id() int { return s.n }

type lines struct{ first, second string }

func (l *lines) Error() string { return l.first + "\n" + l.second }

func repanicked() {
	defer func() {
		if r := recover(); r != nil {
			panic(r)
		}
	}()
	panic(errors.New("the first and the only one"))
}

func far() unsafe.Pointer {
	address := uintptr(five) << 32
	return *(*unsafe.Pointer)(unsafe.Pointer(&address))
}

func handler() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, (*session)(nil).greeting()) }))
	http.Get("http://" + l.Addr().String())
}

func tally(m map[int]int) {
	for i := 0; ; i++ {
		m[i&1023]++
	}
}

func read(m map[int]int) {
	for n := 0; ; n += m[7] {
	}
}

func iterate(m map[int]int) {
	for {
		for range m {
		}
	}
}

//go:noinline
func deeper(n int) int { return deeper(n+1) + 1 }

//go:noinline
func even(n int) int { return odd(n+1) + 1 }

//go:noinline
func odd(n int) int { return even(n+1) + 1 }

func threads() {
	debug.SetMaxThreads(12)
	var pipe [2]int
	syscall.Pipe(pipe[:])
	for range 20 {
		go func() {
			var b [1]byte
			syscall.Read(pipe[0], b[:])
		}()
	}
	time.Sleep(time.Second)
}

// bus reads behind the end of a file that is mapped into memory.
func bus() {
	f, err := os.CreateTemp("", "")
	if err != nil {
		panic(err)
	}
	os.Remove(f.Name())
	b, err := syscall.Mmap(int(f.Fd()), 0, 4096, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	fmt.Println(b[five])
}

func signal(s syscall.Signal) func() {
	return func() {
		syscall.Kill(os.Getpid(), s)
		time.Sleep(time.Second)
	}
}

func race() {
	n := 0
	done := make(chan bool)
	go func() { n++; done <- true }()
	n++
	<-done
}

// heap keeps what is in it from the stack.
var heap struct {
	bytes []byte
	words *[64]int64
}

// straddles takes what is behind an object for a part of it.
func straddles() {
	heap.bytes = make([]byte, 64)
	heap.words = (*[64]int64)(unsafe.Pointer(&heap.bytes[0]))
	fmt.Println(heap.words[five])
}
