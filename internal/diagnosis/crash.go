package diagnosis

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
	"github.com/otelgoroutine/go/internal/words"
)

// crash returns why the process ended, or nothing.
func (d *dump) crash() []detectors.Finding {
	if d.Crash.Kind == parse.NoCrash {
		return nil
	}
	c := &crash{dump: d, goroutine: d.of(d.Crash.Goroutine)}
	c.Finding = detectors.Finding{Detector: nameCrash, Confidence: detectors.Certain, Count: 1, Stack: goroutine.NewStack(nil)}
	if g := c.goroutine; g != nil {
		c.Stack, c.State, c.IDs, c.CreatedBy = g.Stack, g.State, []uint64{g.ID}, g.CreatedBy
	}
	switch d.Crash.Kind {
	case parse.CrashSignal:
		c.signal()
	case parse.CrashFatal:
		c.fatal()
	default:
		c.panicked()
	}
	if len(d.Goroutines) == 1 && d.Total == 1 && d.Crash.Kind != parse.CrashFatal {
		note(&c.Finding, "Only the goroutine that crashed is in the dump; GOTRACEBACK=all shows the others.")
	}
	return []detectors.Finding{c.Finding}
}

// A crash is the finding about the end of the process.
type crash struct {
	*dump
	detectors.Finding
	goroutine *parse.Detail // nil if it is not in the dump
}

func (c *crash) note(format string, args ...any) { note(&c.Finding, format, args...) }

// signal describes a signal from outside that ends the process, which Go does for
// SIGQUIT and SIGABRT with a dump.
func (c *crash) signal() {
	name, _, _ := strings.Cut(c.Crash.Message, ":")
	c.Confidence, c.Count, c.IDs = detectors.Info, 0, nil
	c.Stack, c.State, c.CreatedBy = goroutine.NewStack(nil), "", goroutine.Frame{}
	switch {
	case c.Crash.InC:
		c.Confidence = detectors.Certain
		c.Message = fmt.Sprintf("The process was ended by %s while C code ran.", c.Crash.Message)
		c.Advice = "The fault is in C, or in what Go passed to it; a core dump (GOTRACEBACK=crash) has the stack of C."
	case name == "SIGQUIT":
		c.Message = "The process was ended by SIGQUIT, which asks for this dump: it did not crash by itself."
		c.note("go test sends SIGQUIT some time after its own time limit, and people and supervisors do so to a process that hangs.")
	default:
		c.Message = fmt.Sprintf("The process was ended by %s from outside: it did not crash by itself.", c.Crash.Message)
	}
}

// origin cuts a stack to where its first panic was raised: to the innermost frame outside
// the runtime, below all calls of panic, and below what the runtime calls for a fault.
func origin(s *goroutine.Stack) *goroutine.Stack {
	frames := s.Frames
	for i, f := range slices.Backward(frames) {
		if f.Function == "runtime.gopanic" {
			frames = frames[i+1:]
			break
		}
	}
	for len(frames) > 0 && inRuntime(frames[0]) {
		frames = frames[1:]
	}
	if len(frames) == 0 {
		return s
	}
	return goroutine.NewStack(frames)
}

func inRuntime(f goroutine.Frame) bool {
	p := f.Package()
	return p == "runtime" || strings.HasPrefix(p, "internal/runtime/")
}

// at returns where the goroutine was, as a clause.
func (c *crash) at() string {
	if c.goroutine == nil || len(c.goroutine.Stack.Frames) == 0 {
		return ""
	}
	return " at " + where(c.Stack)
}

// subject names the goroutine.
func (c *crash) subject() string {
	switch {
	case c.Crash.Goroutine == 0:
		return "a goroutine"
	case c.Crash.Goroutine == 1 && c.goroutine != nil && c.goroutine.Stack.Entry().Function == "main.main":
		return fmt.Sprintf("goroutine %d (main)", c.Crash.Goroutine)
	}
	return fmt.Sprintf("goroutine %d", c.Crash.Goroutine)
}

// panicked describes a panic.
func (c *crash) panicked() {
	if c.goroutine != nil {
		c.Stack = origin(c.goroutine.Stack)
	}
	message := c.Crash.Message
	if len(c.Crash.Recovered) > 0 {
		message = c.Crash.Recovered[0] // where it began
	}
	if rest, ok := strings.CutPrefix(message, "test timed out after "); ok {
		c.timedOut(rest)
		return
	}
	c.Message = fmt.Sprintf("Panic in %s%s: %s.", c.subject(), c.at(), shown(message))
	if c.Crash.Kind == parse.CrashRecorded {
		c.Message = fmt.Sprintf("A panic in an HTTP handler, which net/http recovered, in %s%s: %s.", c.subject(), c.at(), shown(message))
		c.note("The process went on. What the handler had locked or taken is released only if a deferred call does it.")
	}
	c.raised()
	c.fault()
	for i, earlier := range c.Crash.Recovered {
		if i > 0 && shown(earlier) != shown(message) {
			c.note("A deferred function panicked in turn: %s.", shown(earlier))
		}
	}
	if last := shown(c.Crash.Message); len(c.Crash.Recovered) > 0 && last != shown(message) {
		c.note("A deferred function panicked in turn, which ended the process: %s.", last)
	} else if len(c.Crash.Recovered) > 0 {
		c.note("It was recovered and raised again.")
	}
	c.created()
	noteCut(&c.Finding, c.goroutine)
	c.Advice = advice(message, panicAdvice)
}

// raised names the function of the standard library that raised a panic.
func (c *crash) raised() {
	if c.goroutine == nil || len(c.Stack.Frames) == 0 {
		return
	}
	if f := c.Stack.Frames[0]; f.Standard() && f != c.Stack.User() {
		c.note("It was raised in %s.", frameAt(f))
	}
}

// fault says what the address of a memory fault tells.
func (c *crash) fault() {
	switch {
	case !c.Crash.HasAddress || !strings.Contains(c.Crash.Message+strings.Join(c.Crash.Recovered, " "), "nil pointer dereference"):
	case c.Crash.Address == 0:
		c.note("The address was 0: the pointer itself is nil, or the first field of what it should point to was used.")
	case c.Crash.Address < 4096:
		c.note("The address was %#x: a field %d bytes into what a nil pointer should point to.", c.Crash.Address, c.Crash.Address)
	default:
		c.note("The address was not near 0: the pointer was not nil but wrong, as after a data race or with package unsafe.")
	}
}

func (c *crash) created() {
	if c.CreatedBy.Function != "" {
		c.note("The goroutine was created by %s.", frameAt(c.CreatedBy))
	}
}

// timedOut describes the end of a test binary by its time limit. The goroutine that
// panics is that of the timer: those of the running tests matter.
func (c *crash) timedOut(rest string) {
	limit, _, _ := strings.Cut(rest, "\n")
	var tests []string
	for _, m := range runningTest.FindAllStringSubmatch(rest, -1) {
		tests = append(tests, m[1])
	}
	c.Message = fmt.Sprintf("The test binary was ended by its time limit of %s.", limit)
	if len(tests) > 0 {
		c.Message = fmt.Sprintf("The test binary was ended by its time limit of %s: %s %s still running.", limit, strings.Join(tests, ", "), words.Verb(len(tests), "was", "were"))
	}
	c.Stack, c.State, c.IDs, c.CreatedBy, c.Count = goroutine.NewStack(nil), "", nil, goroutine.Frame{}, 0
	for i := range c.Goroutines {
		g := &c.Goroutines[i]
		if !ranBy(g, tests) {
			continue
		}
		c.note("Goroutine %d of %s was in %s at %s%s.", g.ID, testOf(g), g.State, where(g.Stack), waited(g.Wait))
		if c.Count == 0 {
			c.Stack, c.State, c.IDs, c.CreatedBy = g.Stack, g.State, []uint64{g.ID}, g.CreatedBy
		}
		c.Count++
	}
	if c.Count == 1 {
		c.Message += fmt.Sprintf(" Its goroutine %d is in %s at %s.", c.IDs[0], c.State, where(c.Stack))
	}
	c.Advice = "See what the running tests wait for: it is not the line of the panic, which only reports the time limit."
}

var runningTest = regexp.MustCompile(`(?m)^\s*(\S+) \([0-9.hms]+\)\s*$`)

// ranBy reports whether a goroutine runs one of the tests, by their top-level functions.
// The goroutine of a test that waits for a subtest is left out.
func ranBy(g *parse.Detail, tests []string) bool {
	if !g.Stack.Has("testing.tRunner") || len(g.Stack.Frames) == 0 || g.Stack.User().Standard() {
		return false
	}
	if g.Stack.Has("testing.(*T).Run") {
		return false
	}
	name := testOf(g)
	return len(tests) == 0 || name == "" || slices.ContainsFunc(tests, func(t string) bool {
		top, _, _ := strings.Cut(t, "/")
		return strings.Contains(name, top)
	})
}

// testOf returns the function that testing.tRunner called, without its package.
func testOf(g *parse.Detail) string {
	for i, f := range g.Stack.Frames {
		if f.Function == "testing.tRunner" && i > 0 {
			name := g.Stack.Frames[i-1].Function
			return strings.TrimPrefix(name[len(g.Stack.Frames[i-1].Package()):], ".")
		}
	}
	return ""
}

// fatal describes an error with which the runtime ends the process.
func (c *crash) fatal() {
	message := c.Crash.Message
	if c.goroutine != nil {
		c.Stack = origin(c.goroutine.Stack)
	}
	for _, n := range c.Crash.Notes {
		c.note("The runtime says: %s.", shown(n))
	}
	switch {
	case c.dump.asleep():
		c.tellAsleep()
		return
	case strings.HasPrefix(message, "no goroutines (main called runtime.Goexit)"):
		c.Message = "The main goroutine called runtime.Goexit, and all others ended: nothing is left that can end the process."
		c.Advice = "Return from main, or call os.Exit, instead of runtime.Goexit (testing's FailNow and SkipNow call it)."
		return
	case message == "stack overflow" || message == "stack size exceeds limit":
		c.overflow()
		return
	case strings.HasPrefix(message, "concurrent map"):
		c.Message = fmt.Sprintf("Data race on a map: %s in %s%s. The runtime ended the process.", message, c.subject(), c.at())
		c.others()
	case strings.Contains(message, "out of memory"), strings.Contains(message, "cannot allocate memory"):
		c.Message = fmt.Sprintf("The process ran out of memory (%s); %s asked for the last of it%s.", shown(message), c.subject(), c.at())
		c.note("There were %s.", goroutines(c.Total))
	case message == "thread exhaustion":
		c.exhausted()
	default:
		c.Message = fmt.Sprintf("Fatal error of the runtime in %s%s: %s.", c.subject(), c.at(), shown(message))
	}
	if c.Crash.Signal != "" {
		c.note("The signal was %s.", c.Crash.Signal)
	}
	if c.Crash.InC {
		c.note("C code was running.")
	}
	c.created()
	noteCut(&c.Finding, c.goroutine)
	c.Advice = advice(message, fatalAdvice)
}

// asleep reports whether the runtime found that no goroutine can run again.
func (d *dump) asleep() bool {
	return d.Crash.Kind == parse.CrashFatal && strings.HasPrefix(d.Crash.Message, "all goroutines are asleep")
}

// tellAsleep describes a deadlock that the runtime has found.
func (c *crash) tellAsleep() {
	c.Count, c.IDs, c.State = c.Total, nil, ""
	if c.Total == 1 && c.Missing == 0 && c.goroutine != nil {
		g := c.goroutine
		c.IDs, c.State, c.Stack = []uint64{g.ID}, g.State, g.Stack
		c.Message = fmt.Sprintf("Deadlock: %s waits in %s at %s, and no other goroutine is left that could %s.", c.subject(), g.State, where(g.Stack), whatWakes(g.State))
		c.Advice = detectors.Explain(g.Stack, g.State).Advice
		return
	}
	c.Message = fmt.Sprintf("Deadlock: all %s of the process wait for each other; the runtime found that none can ever run again.", goroutines(c.Total))
	for i := range c.Groups {
		g := &c.Groups[i]
		if len(c.Participants) == detectors.MaxParticipants {
			break
		}
		c.Participants = append(c.Participants, detectors.Participant{
			Role: detectors.RoleWaiter, Stack: g.Stack, State: g.State, Count: g.Count, IDs: g.IDs, CreatedBy: g.CreatedBy,
			Note: "needs another goroutine to " + whatWakes(g.State),
		})
		c.IDs = append(c.IDs, g.IDs...)
	}
	slices.Sort(c.IDs)
	c.IDs = c.IDs[:min(len(c.IDs), goroutine.MaxIDs)]
	c.Advice = "Find which of these should have been woken, and the path on which what wakes it returned without doing so."
}

// whatWakes says what another goroutine must do to end a wait.
func whatWakes(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "receive"
	case goroutine.ChanReceive:
		return "send or close the channel"
	case goroutine.Select:
		return "serve one of its cases"
	case goroutine.WaitGroupWait:
		return "call Done"
	case goroutine.CondWait:
		return "signal"
	}
	switch {
	case s.Lock():
		return "unlock"
	case s.Never():
		return "end it (nothing can)"
	}
	return "wake it"
}

// overflow describes unbounded recursion by the functions that repeat.
func (c *crash) overflow() {
	c.Message = fmt.Sprintf("Stack overflow in %s%s: unbounded recursion.", c.subject(), c.at())
	c.Advice = "Find the case that should end the recursion. A String, Error or MarshalJSON method that formats its own receiver is a common one."
	if c.goroutine == nil {
		return
	}
	if cycle := recursion(c.goroutine.Stack); len(cycle) > 0 {
		c.Message = fmt.Sprintf("Stack overflow in %s: unbounded recursion through %s.", c.subject(), strings.Join(cycle, ", "))
	}
	if n := c.goroutine.Elided; n > 0 {
		c.note("The dump leaves out %d frames.", n)
	}
	c.created()
}

// maxCycle is how many functions of a recursion are named, and leastRepeats how often a
// function of it is on the stack.
const (
	maxCycle     = 6
	leastRepeats = 3
)

// recursion returns the functions that repeat on a stack, from the leaf on: those of the
// program if there are any.
func recursion(s *goroutine.Stack) []string {
	times := make(map[string]int)
	var own, all []string
	for _, f := range s.Frames {
		times[f.Function]++
		if times[f.Function] != leastRepeats || inRuntime(f) {
			continue
		}
		all = append(all, f.Function)
		if !f.Standard() {
			own = append(own, f.Function)
		}
	}
	if len(own) == 0 {
		own = all
	}
	if user := s.User(); len(own) == 0 && user.Function != "" {
		own = []string{user.Function}
	}
	return own[:min(len(own), maxCycle)]
}

// others names goroutines that were using a map at the same time, or that were in the
// same function.
func (c *crash) others() {
	var at goroutine.Frame
	if c.goroutine != nil {
		at = c.Stack.User()
	}
	n := 0
	for i := range c.Goroutines {
		g := &c.Goroutines[i]
		if g.ID == c.Crash.Goroutine || g.State.Blocked() || n == 3 {
			continue
		}
		if usesMap(g.Stack) || g.Stack.Has(at.Function) {
			n++
			c.note("Goroutine %d was at %s (%s) at the same time.", g.ID, where(g.Stack), g.State)
		}
	}
	if n == 0 {
		c.note("The dump does not show the other goroutine: it has left the map, or its stack was not available while it ran.")
	}
}

func usesMap(s *goroutine.Stack) bool {
	for _, f := range s.Frames {
		if !inRuntime(f) {
			return false
		}
		if strings.HasPrefix(f.Function, "internal/runtime/maps.") || strings.HasPrefix(f.Function, "runtime.map") {
			return true
		}
	}
	return false
}

// exhausted describes a process with too many threads by what holds them.
func (c *crash) exhausted() {
	c.Message = "The process needed more threads than its limit."
	for i := range c.Groups {
		g := &c.Groups[i]
		if g.State == goroutine.Syscall || !g.State.Blocked() {
			c.Message = fmt.Sprintf("The process needed more threads than its limit: %s in %s at %s.", goroutines(g.Count), g.State, where(g.Stack))
			c.Stack, c.State, c.Count, c.IDs, c.CreatedBy = g.Stack, g.State, g.Count, g.IDs, g.CreatedBy
			return
		}
	}
}

// A rule is what to do about messages that begin with a text.
type rule struct{ start, advice string }

func advice(message string, rules []rule) string {
	for _, r := range rules {
		if strings.Contains(message, r.start) {
			return r.advice
		}
	}
	return ""
}

// panicAdvice is about the panics that the runtime and package sync raise.
var panicAdvice = []rule{
	{"nil pointer dereference", "Find which pointer, map element, interface or function on this line is nil, and the path that left it so: an ignored error, or a field that is set later."},
	{"assignment to entry in nil map", "Make the map before the first write; a map field of a struct literal is nil until then."},
	{"send on closed channel", "Close a channel only on the sending side, after the last send; with several senders, close it once all have ended."},
	{"close of closed channel", "Close a channel in one place only, or guard it with sync.Once."},
	{"close of nil channel", "Make the channel before it is closed."},
	{"index out of range", "Check the length before the index; the message has both."},
	{"slice bounds out of range", "Check the length before slicing; the message has both."},
	{"integer divide by zero", "Check the divisor."},
	{"interface conversion", "Use the two-value form of the type assertion, and handle the other type."},
	{"negative WaitGroup counter", "There is one Done more than Add: call Add before the go statement, and Done once in each goroutine."},
	{"WaitGroup is reused before", "Do not call Add again until all calls of Wait have returned."},
	{"WaitGroup misuse", "Call Add before the goroutines start, not within them."},
	{"makeslice: len out of range", "Check the length before the slice is made: it is negative or too large."},
	{"hash of unhashable type", "The key of the map, or what is compared, has a type that cannot be compared, such as a slice."},
}

var fatalAdvice = []rule{
	{"concurrent map", "Guard the map with a mutex, on reads as well, or use sync.Map. The race detector (go run -race) shows both sides."},
	{"unlock of unlocked", "Find the path that unlocks twice or without having locked: a deferred Unlock beside a direct one is a common one."},
	{"Unlock of unlocked", "Find the path that unlocks twice or without having locked, or that mixes RLock with Unlock."},
	{"out of memory", "A heap profile shows what holds the memory. If there are many goroutines here, their number is the leak."},
	{"cannot allocate memory", "A heap profile shows what holds the memory. If there are many goroutines here, their number is the leak."},
	{"thread exhaustion", "Limit how many goroutines are in blocking system calls or in C at the same time."},
	{"found bad pointer in Go heap", "Look for package unsafe and cgo, and for data races: something wrote an address that is none."},
	{"checkptr", "The conversion of an unsafe.Pointer on this line breaks the rules of package unsafe."},
	{"bad g->status in ready", "A goroutine that the leak proof took for leaked was woken; write no goroutineleak profile in this program."},
}

// maxShown is how many bytes of a message are shown.
const maxShown = 200

var address = regexp.MustCompile(`0x[0-9a-fA-F]{5,}`)

// shown returns the first line of a message, without addresses.
func shown(message string) string {
	line, _, more := strings.Cut(strings.TrimSpace(message), "\n")
	line = address.ReplaceAllString(line, "0x…")
	if len(line) > maxShown {
		line, more = strings.ToValidUTF8(line[:maxShown], ""), true
	}
	line = strings.TrimRight(line, ". ")
	if more {
		line += " …"
	}
	return line
}
