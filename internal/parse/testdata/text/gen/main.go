//go:build ignore

// Gen makes the goroutine dumps that the tests read. It starts goroutines that
// wait in every possible way, and writes what the runtime says about them as text
// and, for comparison, as a profile.
//
// To make the fixtures anew, in internal/parse:
//
//	GOTOOLCHAIN=go1.26.8 GOEXPERIMENT=goroutineleakprofile go run -trimpath testdata/text/gen/main.go -out testdata
//	GOTOOLCHAIN=go1.27.4 go run -trimpath testdata/text/gen/main.go -out testdata
//
// They go to text/go1.N, profile/go1.N and debug1/go1.N below the directory. It
// takes over a minute: the runtime counts waits in minutes. -states writes
// states.txt, states.pb.gz and states.debug1 alone, straight into the
// directory, which takes none.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"iter"
	"log"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/pprof/profile"

	"github.com/otelgoroutine/go/internal/parse/testdata/text/gen/dotted.v3"
)

var (
	out    = flag.String("out", "testdata", "directory to write to")
	states = flag.Bool("states", false, "write the states alone, straight into the directory")
	scene  = flag.String("scene", "", "be the process of this scene (used by the program itself)")
)

var hold = make(chan int) // nothing sends to it

// A scene is one process that writes one dump: to the writer, or to standard error
// as it dies.
var scenes = map[string]struct {
	env string
	run func()
}{
	"states":    {run: func() { everyState(); writeStates(*out) }},
	"labels":    {env: "GODEBUG=tracebacklabels=1", run: func() { labels(); os.Stdout.Write(dump()) }},
	"labels1":   {run: func() { labels(); must(pprof.Lookup("goroutine").WriteTo(os.Stdout, 1)) }},
	"minutes":   {env: "GODEBUG=tracebacklabels=1", run: minutes},
	"bubble":    {run: bubble},
	"leaked":    {run: leaked},
	"deep":      {run: deep},
	"locked":    {run: locked},
	"running":   {run: running},
	"panic":     {env: "GOTRACEBACK=all", run: func() { go receive(); go busy(); park("main.receive"); panics("with a reason") }},
	"system":    {env: "GOTRACEBACK=system", run: func() { go receive(); park("main.receive"); panics("with everything") }},
	"fatal":     {env: "GOTRACEBACK=all", run: fatal},
	"unstopped": {env: "GOTRACEBACK=all GODEBUG=asyncpreemptoff=1", run: unstopped},
	"quit":      {env: "GOTRACEBACK=all", run: quit},
	"ancestors": {env: "GODEBUG=tracebackancestors=5,tracebacklabels=1", run: ancestors},
}

func main() {
	testing.Init()
	flag.Parse()
	switch {
	case *scene != "":
		scenes[*scene].run()
	case *states:
		everyState()
		writeStates(*out)
	default:
		play()
	}
}

// play runs every scene in a process of its own.
func play() {
	version := regexp.MustCompile(`^go1\.\d+`).FindString(runtime.Version())
	text, profiles := filepath.Join(*out, "text", version), filepath.Join(*out, "profile", version)
	debug1 := filepath.Join(*out, "debug1", version)
	must(os.MkdirAll(text, 0o755))
	must(os.MkdirAll(profiles, 0o755))
	must(os.MkdirAll(debug1, 0o755))
	temporary, err := os.MkdirTemp("", "gen")
	must(err)
	defer os.RemoveAll(temporary)
	for name, s := range scenes {
		if name == "leaked" && pprof.Lookup("goroutineleak") == nil {
			log.Print("leaked: this runtime has no such profile; skipped")
			continue
		}
		self, err := os.Executable()
		must(err)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		c := exec.CommandContext(ctx, self, "-scene", name, "-out", temporary)
		c.Env = append(os.Environ(), strings.Fields(s.env)...)
		dump, _ := c.CombinedOutput() // some scenes end in a crash
		must(ctx.Err())
		cancel()
		switch name {
		case "states":
		case "labels1":
			must(os.WriteFile(filepath.Join(debug1, "labels.txt"), dump, 0o644))
		default:
			must(os.WriteFile(filepath.Join(text, name+".txt"), dump, 0o644))
		}
	}
	must(os.Rename(filepath.Join(temporary, "states.txt"), filepath.Join(text, "states.txt")))
	must(os.Rename(filepath.Join(temporary, "states.debug1"), filepath.Join(debug1, "states.txt")))
	must(anonymous(filepath.Join(temporary, "states.pb.gz"), filepath.Join(profiles, "states.pb.gz")))
}

// anonymous copies a profile without the paths of the files it came from.
func anonymous(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	p, err := profile.ParseData(b)
	if err != nil {
		return err
	}
	for i, m := range p.Mapping {
		m.File, m.BuildID = fmt.Sprint("file", i), ""
	}
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(p.Write(f), f.Close())
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func dump() []byte {
	buf := make([]byte, 4<<20)
	return buf[:runtime.Stack(buf, true)]
}

// writeStates writes the same process in three formats.
func writeStates(dir string) {
	must(os.WriteFile(filepath.Join(dir, "states.txt"), dump(), 0o644))
	for name, debug := range map[string]int{"states.pb.gz": 0, "states.debug1": 1} {
		f, err := os.Create(filepath.Join(dir, name))
		must(err)
		must(pprof.Lookup("goroutine").WriteTo(f, debug))
		must(f.Close())
	}
}

// park returns once the goroutines with these functions on their stacks are
// parked.
func park(functions ...string) {
	for _, f := range functions {
		waitFor(f, func(header string) bool {
			return !strings.Contains(header, "[runn") && !strings.Contains(header, "[preempted")
		})
	}
}

func waitFor(function string, ok func(header string) bool) {
	for range 1000 {
		for g := range strings.SplitSeq(string(dump()), "\n\n") {
			if header, rest, _ := strings.Cut(g, "\n"); strings.Contains(rest, function+"(") && ok(header) {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	log.Fatalf("%s does not get there:\n%s", function, dump())
}

// until returns once the goroutine of a function is in a state.
func until(function, state string) {
	waitFor(function, func(header string) bool { return strings.Contains(header, "["+state) })
}

// everyState starts a goroutine for each way to wait. The tests identify the
// goroutines by their entry functions.
func everyState() {
	locks()
	channels()
	system()
	shapes()
}

func locks() {
	var mutex sync.Mutex
	mutex.Lock()
	go mutexLock(&mutex)
	until("main.mutexLock", "sync.Mutex.Lock")

	go mutex.Lock() // it has no frame of its own

	var once sync.Once
	go once.Do(func() { <-hold })
	park("main.locks.func1")
	go onceDo(&once)
	until("main.onceDo", "sync.Mutex.Lock")

	written := new(sync.RWMutex)
	written.Lock()
	go lockBehindWriter(written)
	go rLock(written)
	until("main.lockBehindWriter", "sync.Mutex.Lock")
	until("main.rLock", "sync.RWMutex.RLock")

	read := new(sync.RWMutex)
	read.RLock()
	go lockBehindReaders(read)
	until("main.lockBehindReaders", "sync.RWMutex.Lock")

	wg := new(sync.WaitGroup)
	wg.Add(1)
	go waitGroup(wg)
	until("main.waitGroup", "sync.WaitGroup.Wait")

	cond := sync.NewCond(new(sync.Mutex))
	go condWait(cond)
	until("main.condWait", "sync.Cond.Wait")
}

func mutexLock(m *sync.Mutex)           { m.Lock() }
func onceDo(o *sync.Once)               { o.Do(func() {}) }
func lockBehindWriter(m *sync.RWMutex)  { m.Lock() }
func lockBehindReaders(m *sync.RWMutex) { m.Lock() }
func rLock(m *sync.RWMutex)             { m.RLock() }
func waitGroup(wg *sync.WaitGroup)      { wg.Wait() }
func condWait(c *sync.Cond)             { c.L.Lock(); c.Wait() }

func channels() {
	go chanSend(hold2)
	go chanReceive(hold)
	go chanRange(hold)
	go selectOne(hold)
	go selectMany(hold)
	go timer()
	go nilSend(nil)
	go nilReceive(nil)
	go nilReceive2(nil)
	go selectNone()
	until("main.chanSend", "chan send")
	until("main.chanReceive", "chan receive")
	until("main.chanRange", "chan receive")
	until("main.selectOne", "chan receive")
	until("main.selectMany", "select")
	until("main.timer", "chan receive")
	until("main.nilSend", "chan send (nil chan)")
	until("main.nilReceive", "chan receive (nil chan)")
	until("main.nilReceive2", "chan receive (nil chan)")
	until("main.selectNone", "select (no cases)")
}

var hold2 = make(chan int) // nothing receives from it

func chanSend(c chan int)    { c <- 1 }
func chanReceive(c chan int) { <-c }
func chanRange(c chan int) {
	for range c {
	}
}
func selectOne(c chan int) {
	select {
	case <-c:
	}
}
func selectMany(c chan int) {
	select {
	case <-c:
	case hold2 <- 1:
	}
}
func timer()                 { <-time.After(time.Hour) }
func nilSend(c chan int)     { c <- 1 }
func nilReceive(c chan int)  { <-c }
func nilReceive2(c chan int) { _, _ = <-c }
func selectNone()            { select {} }

func system() {
	go sleep()
	until("main.sleep", "sleep")

	go ioWait(listener())
	until("main.ioWait", "IO wait")

	client, err := net.Dial("tcp", listener().Addr().String())
	must(err)
	go read(client)
	until("main.read", "IO wait")
	go fdLock(client)
	until("main.fdLock", "semacquire")

	var pipe [2]int
	must(syscall.Pipe(pipe[:]))
	go syscallRead(pipe[0])
	until("main.syscallRead", "syscall")

	signal.Notify(make(chan os.Signal, 1), syscall.SIGUSR1)
	until("os/signal.loop", "syscall")

	for _, name := range []string{"coroutineYielded", "coroutineUnstarted"} {
		next, _ := iter.Pull(coroutine)
		pulls = append(pulls, next)
		if name == "coroutineYielded" {
			next()
		}
	}
	until("main.coroutine", "coroutine")
}

var pulls []func() (int, bool)

func sleep()                         { time.Sleep(time.Hour) }
func ioWait(l net.Listener)          { _, _ = l.Accept() }
func read(c net.Conn)                { _, _ = c.Read(make([]byte, 1)) }
func fdLock(c net.Conn)              { _, _ = c.Read(make([]byte, 1)) }
func syscallRead(fd int)             { _, _ = syscall.Read(fd, make([]byte, 1)) }
func coroutine(yield func(int) bool) { yield(1); yield(2) }

var listeners []net.Listener // an unreachable listener closes itself

func listener() net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	listeners = append(listeners, l)
	return l
}

// shapes starts goroutines whose stacks are hard to read the same way twice.
func shapes() {
	go generic[map[string][]int](hold)
	go (&box[int]{}).method(hold)
	go nested[int](hold)
	go dotted.Wait(hold)
	go func() { func() { <-hold }() }()
	go reflect.ValueOf(reflected).Call([]reflect.Value{reflect.ValueOf(hold)})
	go panicking()
	go exiting()
	go recursive(150)
	var r receiver = &value{}
	go r.receive(hold)
	go value{}.receive(hold)
	park("main.generic[...]", "main.(*box[...]).method", "dotted%2ev3.Wait", "main.shapes.func1",
		"main.reflected", "main.panicking", "main.exiting", "main.recursive", "main.value.receive")
	waitFor("main.value.receive", func(header string) bool { return strings.Contains(header, "chan receive") })
}

type box[T any] struct{ v T }

func (b *box[T]) method(c chan int) { <-c }
func generic[T any](c chan int)     { <-c }
func nested[T any](c chan int)      { inner := func() { generic[[]T](c) }; inner() }

type receiver interface{ receive(chan int) }
type value struct{}

func (value) receive(c chan int) { <-c }
func reflected(c chan int)       { <-c }

func panicking() {
	defer func() { <-hold }()
	var m map[string]int
	m["x"] = 1
}

func exiting() {
	defer func() { <-hold }()
	runtime.Goexit()
}

func recursive(n int) {
	if n == 0 {
		<-hold
		return
	}
	recursive(n - 1)
	runtime.KeepAlive(n)
}

func receive() { <-hold }

func labels() {
	for _, l := range [][]string{
		{"plain", "value"},
		{"request", `a]b,c}d"e\f: [select, 9 minutes]:`, "two", "ünï\xffcode\n\t"},
		{"key with ]:{", ""},
	} {
		go pprof.Do(context.Background(), pprof.Labels(l...), func(context.Context) { <-hold })
	}
	park("main.labels.func1")
	time.Sleep(50 * time.Millisecond)
}

func minutes() {
	go receive()
	go sleep()
	park("main.receive", "main.sleep")
	runtime.GC() // records when the goroutines were first seen waiting
	time.Sleep(61 * time.Second)
	go pprof.Do(context.Background(), pprof.Labels("k", "v"), func(context.Context) { runtime.LockOSThread(); <-hold })
	park("main.minutes.func1")
	os.Stdout.Write(dump())
}

func locked() {
	go func() { runtime.LockOSThread(); <-hold }()
	park("main.locked.func1")
	os.Stdout.Write(dump())
}

// bubble shows a synctest bubble. Its root waits for a channel from outside, which
// keeps the bubble's clock from advancing.
func bubble() {
	release := make(chan int)
	all := func(string, string) (bool, error) { return true, nil }
	go testing.Main(all, []testing.InternalTest{{
		Name: "Bubble", F: func(t *testing.T) {
			synctest.Test(t, func(*testing.T) {
				c := make(chan int)
				var wg sync.WaitGroup
				wg.Add(1)
				go receiveFrom(c)
				go chanSend(make(chan int))
				go selectMany2(make(chan int))
				go wg.Wait()
				go time.Sleep(time.Hour)
				go condWait(sync.NewCond(new(sync.Mutex)))
				go nilReceive(nil)
				go synctest.Wait()
				receiveFrom(release)
				select {}
			})
		},
	}}, nil, nil)
	until("main.receiveFrom", "chan receive (durable)")
	park("main.chanSend", "main.selectMany2", "main.condWait", "main.nilReceive", "internal/synctest.Run")
	time.Sleep(50 * time.Millisecond)
	os.Stdout.Write(dump())
}

func receiveFrom(c chan int) { <-c }
func selectMany2(c chan int) {
	select {
	case <-c:
	case c <- 1:
	}
}

func leaked() {
	go receiveFrom(make(chan int))
	go func(c chan int) { var n chan int; n <- <-c }(nil)
	go func() { var m sync.Mutex; m.Lock(); m.Lock() }()
	park("main.receiveFrom", "main.leaked.func1", "main.leaked.func2")
	must(pprof.Lookup("goroutineleak").WriteTo(devNull{}, 0))
	os.Stdout.Write(dump())
}

type devNull struct{}

func (devNull) Write(b []byte) (int, error) { return len(b), nil }

func deep() {
	go recursive(300)
	go recursive(49)
	park("main.recursive")
	time.Sleep(50 * time.Millisecond)
	os.Stdout.Write(dump())
}

func running() {
	for range 3 {
		go busy()
	}
	go receive()
	park("main.receive")
	time.Sleep(50 * time.Millisecond)
	os.Stdout.Write(dump())
}

func busy() {
	for {
		counter.Add(1)
	}
}

var counter atomic.Int64

func fatal() {
	go receive()
	park("main.receive")
	new(sync.Mutex).Unlock()
}

// unstopped leaves a goroutine on its thread while the process dies.
func unstopped() {
	go busy()
	time.Sleep(50 * time.Millisecond)
	panics("beside one that cannot be stopped")
}

func panics(why string) {
	defer func() { panic(fmt.Errorf("again: %v", recover())) }()
	panic(errors.New(why))
}

func quit() {
	go receive()
	go func() { runtime.LockOSThread(); <-hold }()
	park("main.receive", "main.quit.func1")
	must(syscall.Kill(os.Getpid(), syscall.SIGQUIT))
	time.Sleep(time.Minute)
}

func ancestors() {
	done := make(chan bool)
	go func() {
		go func() { close(done); <-hold }()
		<-hold
	}()
	<-done
	park("main.ancestors.func1")
	os.Stdout.Write(dump())
}
