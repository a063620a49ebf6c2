// Gen writes the dumps of processes that end for every kind of reason. Each fault runs in
// a process of its own. With cgo the runtime does not notice that all goroutines sleep.
// From internal/diagnosis:
//
//	CGO_ENABLED=0 go build -trimpath -o gen ./testdata/gen && ./gen testdata
//	go test -trimpath -timeout 2s ./testdata/gen/slow > testdata/test-timeout.txt
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

var faults = map[string]func(){
	"panic-nil-pointer":    nilPointer,
	"panic-alone":          nilPointer, // with GOTRACEBACK=single, the default
	"panic-nil-map":        nilMap,
	"panic-index":          index,
	"panic-send-on-closed": sendOnClosed,
	"panic-close-twice":    closeTwice,
	"panic-wait-group":     waitGroup,
	"panic-error":          failed,
	"panic-again":          again,
	"panic-type-assertion": assertion,
	"panic-in-handler":     handler,
	"fatal-map-writes":     mapWrites,
	"fatal-map-iteration":  mapIteration,
	"fatal-stack-overflow": func() { fmt.Println(&node{name: "a"}) },
	"fatal-asleep-channel": func() { result(make(chan int)) },
	"fatal-asleep-group":   asleepGroup,
	"fatal-asleep-locks":   asleepLocks,
	"fatal-unlock":         unlock,
	"fatal-out-of-memory":  outOfMemory,
	"fatal-threads":        threads,
	// fatal-goexit and others that differ by version are in kinds.
	"signal-quit":  quit(syscall.SIGQUIT),
	"signal-abort": quit(syscall.SIGABRT),
}

func main() {
	if f := faults[os.Getenv("FAULT")]; f != nil {
		f()
		return
	}
	for name := range faults {
		self, err := os.Executable()
		must(err)
		trace := "all"
		if name == "panic-alone" {
			trace = "single"
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		c := exec.CommandContext(ctx, self)
		c.Env = append(os.Environ(), "FAULT="+name, "GOTRACEBACK="+trace)
		out, _ := c.CombinedOutput() // which fails, as it should
		cancel()
		must(os.WriteFile(filepath.Join(os.Args[1], name+".txt"), out, 0o644))
	}
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// idle starts some goroutines that have nothing to do with a fault.
func idle() {
	jobs := make(chan int)
	for range 3 {
		go worker(jobs)
	}
	time.Sleep(20 * time.Millisecond)
}

func worker(jobs chan int) {
	for range jobs {
	}
}

type user struct {
	id   int
	name string
}

type session struct{ user *user }

func (s *session) greeting() string { return "hello " + s.user.name }

func nilPointer() {
	idle()
	done := make(chan string)
	go serve(&session{}, done)
	<-done
}

func serve(s *session, done chan string) { done <- s.greeting() }

type cache struct{ entries map[string]int }

func (c *cache) put(key string, v int) { c.entries[key] = v }

func nilMap() {
	idle()
	(&cache{}).put("a", 1)
}

func index() {
	idle()
	fmt.Println(column([]string{"a", "b", "c"}, 5))
}

func column(row []string, i int) string { return row[i] }

func sendOnClosed() {
	results := make(chan int, 1)
	go func() {
		time.Sleep(20 * time.Millisecond)
		deliver(results)
	}()
	close(results)
	select {}
}

func deliver(results chan int) { results <- 1 }

func closeTwice() {
	idle()
	stop := make(chan struct{})
	shutdown(stop)
	shutdown(stop)
}

func shutdown(stop chan struct{}) { close(stop) }

func waitGroup() {
	var wg sync.WaitGroup
	wg.Add(1)
	go finish(&wg)
	go finish(&wg)
	time.Sleep(time.Second)
}

func finish(wg *sync.WaitGroup) { wg.Done() }

func failed() {
	idle()
	go load("/etc/service.conf")
	time.Sleep(time.Second)
}

func load(path string) { panic(fmt.Errorf("loading %s: %w", path, errors.New("permission denied"))) }

func again() {
	defer func() {
		if r := recover(); r != nil {
			panic(fmt.Sprint("shutdown: ", r))
		}
	}()
	index()
}

func assertion() {
	idle()
	fmt.Println(count(any("three")))
}

func count(v any) int { return v.(int) }

func handler() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	go http.Serve(l, http.HandlerFunc(profile))
	http.Get("http://" + l.Addr().String())
}

func profile(w http.ResponseWriter, r *http.Request) {
	var s session
	fmt.Fprint(w, s.greeting())
}

func mapWrites() {
	counts := make(map[int]int)
	for range 4 {
		go tally(counts)
	}
	time.Sleep(10 * time.Second)
}

func tally(counts map[int]int) {
	for i := 0; ; i++ {
		counts[i&1023]++
	}
}

func mapIteration() {
	counts := map[int]int{1: 1, 2: 2}
	go tally(counts)
	for {
		sum(counts)
	}
}

func sum(counts map[int]int) (n int) {
	for _, v := range counts {
		n += v
	}
	return n
}

type node struct{ name string }

func (n *node) String() string { return fmt.Sprintf("node %v", n) }

func result(c chan int) int { return <-c }

func asleepGroup() {
	var wg sync.WaitGroup
	rows := make(chan int)
	for i := range 3 {
		wg.Add(1)
		go func() {
			if i != 1 { // an error path
				defer wg.Done()
			}
			rows <- i
		}()
	}
	for range 3 {
		<-rows
	}
	importAll(&wg)
}

func importAll(wg *sync.WaitGroup) { wg.Wait() }

type account struct {
	mu      sync.Mutex
	balance int
}

func asleepLocks() {
	var a, b account
	var wg sync.WaitGroup
	wg.Add(2)
	go func() { defer wg.Done(); a.transfer(&b, 1) }()
	go func() { defer wg.Done(); b.transfer(&a, 2) }()
	wg.Wait()
}

func (a *account) transfer(to *account, n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	time.Sleep(50 * time.Millisecond)
	a.balance -= n
	to.deposit(n)
}

func (a *account) deposit(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.balance += n
}

func unlock() {
	idle()
	var a account
	a.reset()
}

func (a *account) reset() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.balance = 0
	a.mu.Unlock()
}

func outOfMemory() {
	idle()
	must(syscall.Setrlimit(syscall.RLIMIT_AS, &syscall.Rlimit{Cur: 1 << 30, Max: 1 << 30}))
	fmt.Println(len(buffer(4 << 30)))
}

func buffer(n int) []byte { return make([]byte, n) }

func threads() {
	debug.SetMaxThreads(12)
	var pipe [2]int
	must(syscall.Pipe(pipe[:]))
	for range 20 {
		go readDevice(pipe[0])
	}
	time.Sleep(time.Second)
}

func readDevice(fd int) {
	var b [1]byte
	syscall.Read(fd, b[:])
}

func quit(s syscall.Signal) func() {
	return func() {
		idle()
		syscall.Kill(os.Getpid(), s)
		time.Sleep(time.Second)
	}
}
