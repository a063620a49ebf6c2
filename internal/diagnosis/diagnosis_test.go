// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// one returns a goroutine of a dump, with calls as "function(arguments):line", leaf first.
func one(id int, state string, calls ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "goroutine %d [%s]:\n", id, state)
	for _, c := range calls {
		call, line, ok := strings.Cut(c, ":")
		if !ok {
			line = "1"
		}
		fmt.Fprintf(&b, "%s\n\t/app/main.go:%s +0x1\n", call, line)
	}
	return b.String() + "\n"
}

// lockAt is the calls of a goroutine that waits for a mutex at an address.
func lockAt(address string, calls ...string) []string {
	return append([]string{"internal/sync.(*Mutex).lockSlow(" + address + ")", "sync.(*Mutex).Lock(...)"}, calls...)
}

// idleMain is a main goroutine that waits for its servers: a dump without it is not whole.
var idleMain = one(1, "sync.WaitGroup.Wait, 900 minutes", "sync.(*WaitGroup).Wait(0xc000010000)", "main.main()")

func only(t *testing.T, dump string) detectors.Finding {
	t.Helper()
	all := diagnose(t, dump)
	require.Len(t, all, 1)
	return all[0]
}

func TestAWaitFarBeyondOthers(t *testing.T) {
	var dump string
	for i := range 48 {
		wait := fmt.Sprintf("chan send, %d minutes", 1+i%12)
		if i == 20 {
			wait = "chan send, 12960 minutes"
		}
		dump += one(10+i, wait, "main.publish(0x1):12", "main.serve()")
	}
	f := only(t, dump)
	assert.Equal(t, "Goroutine 30 has waited for 9 days in chan send at main.publish (main.go:12), where the other 47 have waited for at most 12 min.", f.Message)
	assert.Equal(t, "long_wait", f.Detector)
	assert.Equal(t, detectors.Suspected, f.Confidence)
	assert.Equal(t, []uint64{30}, f.IDs)
	assert.Equal(t, 9*24*time.Hour, f.Age)
}

// Workers that wait for jobs, and a main goroutine that waits for its servers, are sound.
func TestIdleProcessesAreSound(t *testing.T) {
	dump := idleMain
	for i := range 20 {
		dump += one(10+i, fmt.Sprintf("chan receive, %d minutes", 800+i), "main.worker(0xc000012340):12")
	}
	dump += one(90, "select, 700 minutes", "main.loop()") + one(91, "IO wait, 9000 minutes", "main.read()")
	dump += one(92, "sync.Mutex.Lock", lockAt("0xc000012340", "main.(*pool).get(0xc000012340):30")...) // just now
	assert.Empty(t, diagnose(t, dump))
}

func TestExcludedStacksAreNotJudged(t *testing.T) {
	d := one(4, "chan send, 900 minutes", "main.publish(0x1):12")
	require.Len(t, diagnose(t, d), 1)
	s, details := snapshotOf(t, d)
	assert.Empty(t, Of(s, details, nil, func(s *goroutine.Stack) bool { return s.Has("main.publish") }))
}

func TestWhatHoldsALock(t *testing.T) {
	waiter := func(id int, object string, minutes int) string {
		return one(id, fmt.Sprintf("sync.Mutex.Lock, %d minutes", minutes), lockAt(object, "main.(*pool).get("+object+"):30", "main.serve()")...)
	}
	const pool, other = "0xc000012340", "0xc000099990"
	for name, c := range map[string]struct{ holder, want string }{
		"past the line":         {one(9, "IO wait, 12 minutes", "main.(*pool).get("+pool+"):36", "main.serve()"), "goroutine 9 most likely holds it, and is in IO wait"},
		"uncertain receiver":    {one(9, "IO wait, 12 minutes", "main.(*pool).get("+pool+"?):36", "main.serve()"), "goroutine 9 may hold it"},
		"another object":        {one(9, "IO wait, 12 minutes", "main.(*pool).get("+other+"):36", "main.serve()"), "no goroutine in the dump is seen to hold it"},
		"before the line":       {one(9, "IO wait, 12 minutes", "main.(*pool).get(0x1?):20", "main.serve()"), "no goroutine in the dump is seen to hold it"},
		"the object elsewhere":  {one(9, "chan send, 12 minutes", "main.(*pool).flush("+pool+"):80"), "goroutine 9 may hold it, and is in chan send"},
		"an unlock that is not": {"", "no goroutine in the dump is seen to hold it: most likely it was not unlocked"},
	} {
		t.Run(name, func(t *testing.T) {
			f := only(t, idleMain+waiter(4, pool, 8)+waiter(5, pool, 12)+c.holder)
			assert.True(t, strings.HasPrefix(f.Message, "2 goroutines wait for a lock at main.(*pool).get (main.go:30) for up to 12 min; "), f.Message)
			assert.Contains(t, f.Message, c.want)
			assert.Equal(t, detectors.Suspected, f.Confidence)
			assert.Contains(t, f.Evidence, "Goroutine 5 was the first to wait: for 12 min, at main.(*pool).get (main.go:30).")
		})
	}
	assert.Equal(t, detectors.Medium, only(t, idleMain+waiter(4, pool, 8)).Confidence)
	assert.Equal(t, detectors.Suspected, only(t, idleMain+waiter(4, pool, 31)).Confidence, "a single one")
	assert.Equal(t, detectors.High, only(t, idleMain+waiter(4, pool, 31)+waiter(5, pool, 2)).Confidence)
	assert.Contains(t, only(t, waiter(4, pool, 8)).Message, "the dump is not whole (goroutine 1 is not in it)")
}

// A lock that is held for long, or by turns, is not one that is stuck.
func TestLocksThatAreHeldForLong(t *testing.T) {
	waiter := func(id, minutes int) string {
		return one(id, fmt.Sprintf("sync.Mutex.Lock, %d minutes", minutes), lockAt("0xc000012340", "main.(*pool).get(0xc000012340):30")...)
	}
	for state, want := range map[string]struct{ alone, several detectors.Confidence }{
		"running":               {detectors.Info, detectors.Info},
		"sleep":                 {detectors.Info, detectors.Info},
		"IO wait":               {detectors.Info, detectors.Info},
		"select, 2 minutes":     {detectors.Info, detectors.Info},
		"select, 50 minutes":    {detectors.Info, detectors.High}, // it may be a leader, for whose lock others stand by
		"syscall, 50 minutes":   {detectors.Info, detectors.High},
		"chan send":             {detectors.Info, detectors.Info},
		"chan send, 50 minutes": {detectors.Suspected, detectors.High},
	} {
		holder := one(9, state, "main.(*pool).get(0xc000012340):36")
		assert.Equal(t, want.alone, only(t, idleMain+waiter(4, 45)+holder).Confidence, state)
		assert.Equal(t, want.several, only(t, idleMain+waiter(4, 45)+waiter(5, 3)+holder).Confidence, state)
	}
	request := strings.Replace(waiter(5, 3), "\n\n", "\nnet/http.serverHandler.ServeHTTP()\n\t/go/server.go:1 +0x1\nnet/http.(*conn).serve()\n\t/go/server.go:1 +0x1\n\n", 1)
	assert.Equal(t, detectors.Medium, only(t, idleMain+waiter(4, 45)+request+one(9, "sleep", "main.(*pool).get(0xc000012340):36")).Confidence, "a client waits")
}

// Two goroutines that take two locks in two orders, in different functions: the dump shows
// which one may hold the first lock, and not that one of those behind it has the second.
func TestTheOtherOrderIsInAnotherFunction(t *testing.T) {
	waiter := func(id int, lock, call string) string {
		return one(id, "sync.Mutex.Lock, 8 minutes", lockAt(lock, call)...)
	}
	const accounts, journal = "0x19a4a60", "0x19a4a68"
	dump := idleMain + waiter(4, accounts, "main.transfer():79") + waiter(5, accounts, "main.transfer():79") +
		waiter(6, accounts, "main.audit():93") + waiter(7, journal, "main.transfer():82")
	f := only(t, dump)
	assert.Equal(t, "3 goroutines wait for a lock at main.transfer (main.go:79) for up to 8 min; goroutine 7 may hold it, and waits for a lock at main.transfer (main.go:82) itself.", f.Message)
	assert.Contains(t, strings.Join(f.Evidence, "\n"), "No goroutine is seen to hold the lock that goroutine 7 waits for. A goroutine that waits for the first lock may, if it acquires the locks in another order; or it was not unlocked.")
	assert.Contains(t, f.Advice, "different orders")
	assert.Equal(t, detectors.Medium, f.Confidence)
	assert.Len(t, diagnose(t, dump+waiter(8, journal, "main.post():12")), 2, "others wait for the second lock")
}

// The goroutine at the end of a chain decides whether it is stuck.
func TestAChainOfLocks(t *testing.T) {
	waiter := func(id, minutes int, calls ...string) string {
		return one(id, fmt.Sprintf("sync.Mutex.Lock, %d minutes", minutes), lockAt("0xc000012340", calls...)...)
	}
	queue := idleMain + waiter(4, 45, "main.(*pool).get(0xc000012340):30") + waiter(5, 44, "main.(*pool).get(0xc000012340):30") +
		strings.ReplaceAll(waiter(6, 20, "main.(*disk).sync(0xc000012340):12"), "0xc000012340", "0xc000077770")
	between := one(7, "sync.Mutex.Lock, 20 minutes", lockAt("0xc000077770", "main.(*disk).sync(0xc000077770):12", "main.(*pool).get(0xc000012340):36")...)
	for end, want := range map[string]detectors.Confidence{"IO wait, 50 minutes": detectors.High, "IO wait": detectors.Info} {
		found := diagnose(t, queue+between+one(8, end, "main.(*disk).sync(0xc000077770):19"))
		assert.Contains(t, found[0].Message, "behind it, through 1 goroutine, is goroutine 8, and is in IO wait at main.(*disk).sync")
		assert.Equal(t, want, found[0].Confidence, end)
	}
}

// parsed returns what is said about a text as the command reads it, which keeps goroutines
// that are cut.
func parsed(t *testing.T, text string) []detectors.Finding {
	t.Helper()
	dumps, _ := parse.Dumps(strings.NewReader(text), time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), parse.NewStacks(), &goroutine.Births{})
	require.Len(t, dumps, 1)
	return Of(dumps[0].Snapshot, dumps[0].Details, nil, nil)
}

// Nothing is certain or high on goroutines whose stacks were lost.
func TestStacksThatAreNotWhole(t *testing.T) {
	waiter := func(id int) string {
		return one(id, "sync.Mutex.Lock, 50 minutes", lockAt("0xc000012340", "main.(*pool).get(0xc000012340):30", "main.serve()")...)
	}
	holder := one(9, "chan send, 50 minutes", "main.(*pool).get(0xc000012340):36", "main.serve()")
	cycle := one(4, "sync.Mutex.Lock, 50 minutes", lockAt("0xc000099990", "main.transfer(0xc000012340, 0xc000099990):22", "main.serve()")...) +
		one(5, "sync.Mutex.Lock, 50 minutes", lockAt("0xc000012340", "main.transfer(0xc000099990, 0xc000012340):22", "main.serve()")...) +
		one(6, "sync.Mutex.Lock, 50 minutes", lockAt("0xc000012340", "main.transfer(0xc000012340, 0xc000077770):20", "main.serve()")...) +
		one(7, "sync.Mutex.Lock, 50 minutes", lockAt("0xc000099990", "main.transfer(0xc000099990, 0xc000077770):20", "main.serve()")...)
	ways := map[string]func(goroutine string) string{
		"elided": func(g string) string {
			return strings.Replace(g, "main.serve()", "...9 frames elided...\nmain.serve()", 1)
		},
		"cut": func(g string) string {
			return strings.Replace(g, "main.serve()\n\t/app/main.go:1 +0x1\n", "main.serve(", 1)
		},
	}
	for name, c := range map[string]struct {
		dump  string
		whole detectors.Confidence
		ids   []int // each of which is enough
	}{
		"lock":   {idleMain + waiter(4) + waiter(5) + holder, detectors.High, []int{4, 5, 9}},
		"cycle":  {idleMain + cycle, detectors.High, []int{4, 5, 6, 7}},
		"asleep": {"fatal error: all goroutines are asleep - deadlock!\n\n" + cycle, detectors.High, []int{4, 5}},
		"leak":   {idleMain + one(4, "chan send (leaked)", "main.publish()", "main.serve()"), detectors.Confirmed, []int{4}},
		"crash":  {"panic: boom\n\n" + one(4, "running", "main.f()", "main.serve()"), detectors.Certain, []int{4}},
	} {
		whole := parsed(t, c.dump)
		assert.Equal(t, c.whole, whole[len(whole)-1].Confidence, "%s: %v", name, whole[len(whole)-1])
		for way, lose := range ways {
			if name == "crash" && way == "elided" { // only the innermost frames matter
				continue
			}
			for _, id := range c.ids {
				goroutines := strings.SplitAfter(c.dump, "\n\n")
				for i, g := range goroutines {
					if strings.HasPrefix(g, fmt.Sprintf("goroutine %d ", id)) && (name != "leak" || way != "elided") {
						goroutines[i] = lose(g)
					}
				}
				for _, f := range parsed(t, strings.Join(goroutines, "")) {
					if f.Detector == nameCrash && name == "asleep" || name == "leak" && way == "elided" {
						continue // the runtime says so, whatever the stacks are
					}
					assert.LessOrEqual(t, f.Confidence, detectors.Suspected, "%s, %s of goroutine %d: %s", name, way, id, f.Message)
				}
			}
		}
	}
	unavailable := "goroutine 8 [running]:\n\tgoroutine running on other thread; stack unavailable\ncreated by main.main\n\t/app/main.go:3 +0x1\n\n"
	f := parsed(t, idleMain+waiter(4)+waiter(5)+unavailable)[0]
	assert.Contains(t, f.Message, "no goroutine in the dump is seen to hold it; 1 goroutine whose stack is not whole in the dump may.")
	assert.Equal(t, detectors.Suspected, f.Confidence)
}

// Headers of several goroutines count as so many, and never as one that could be named.
func TestHeadersOfSeveralGoroutines(t *testing.T) {
	many := func(n int, state string, calls ...string) string {
		return strings.Replace(one(1, state, calls...), "goroutine 1 ", fmt.Sprintf("%d goroutines ", n), 1)
	}
	lock := func(n int, calls ...string) string {
		return many(n, "semacquire, 4 minutes", append([]string{"sync.runtime_SemacquireMutex(0xc000012344)", "sync.(*Mutex).lockSlow(0xc000012340)", "sync.(*Mutex).Lock(...)"}, calls...)...)
	}
	f := parsed(t, lock(48, "main.(*pool).get(0xc000012340):30", "main.serve()")+many(3, "select, 4 minutes", "main.(*pool).get(0xc000012340):36"))[0]
	assert.True(t, strings.HasPrefix(f.Message, "48 goroutines wait for a lock at main.(*pool).get (main.go:30) for up to 4 min; no goroutine in the dump is seen to hold it"), f.Message)
	assert.Equal(t, 48, f.Count)
	assert.Empty(t, f.IDs)
	assert.NotContains(t, strings.Join(f.Evidence, " "), "Goroutine 0")

	crossed := lock(2, "main.transfer(0xc000099990, 0xc000012340):22") + strings.ReplaceAll(lock(2, "main.transfer(0xc000012340, 0xc000099990):22"), "lockSlow(0xc000012340)", "lockSlow(0xc000099990)")
	for _, f := range parsed(t, crossed) {
		assert.NotContains(t, f.Message, "eadlock by lock order")
	}
	sends := parsed(t, many(36, "chan send, 12 minutes", "main.publish(0x1):12"))
	require.Len(t, sends, 1)
	assert.Equal(t, "36 goroutines have waited in chan send at main.publish (main.go:12) for up to 12 min: nothing has received.", sends[0].Message)
	assert.Empty(t, sends[0].IDs)

	s, details := snapshotOf(t, one(4, "chan send", "main.publish(0x1):12"))
	assert.NotEmpty(t, Of(s, details, &Earlier{details, time.Hour}, nil))
	later, err := parse.Dumps(strings.NewReader(one(4, "chan send", "main.publish(0x1):12")+many(5, "chan send", "main.publish(0x1):12")), s.Time, parse.NewStacks(), nil)
	require.NoError(t, err)
	assert.Empty(t, Of(later[0].Snapshot, later[0].Details, &Earlier{details, time.Hour}, nil), "without IDs, dumps are not compared")
}

// All goroutines count, however many wait at one place, and the longest wait is found.
func TestManyWaiters(t *testing.T) {
	var dump strings.Builder
	for i := range 3000 {
		dump.WriteString(one(10+i, fmt.Sprintf("sync.Mutex.Lock, %d minutes", 1+i/100), lockAt("0xc000012340", "main.(*pool).get(0xc000012340):30")...))
	}
	dump.WriteString(one(9000, "IO wait, 5 minutes", "main.(*pool).get(0xc000012340):36"))
	f := only(t, dump.String())
	assert.Contains(t, f.Message, "3000 goroutines wait for a lock at main.(*pool).get (main.go:30) for up to 30 min; goroutine 9000 most likely holds it")
	assert.Equal(t, 3000, f.Count)
	assert.Equal(t, 3000, f.Participants[1].Count)
}

// What could not be read may hold the lock.
func TestAGoroutineThatCouldNotBeRead(t *testing.T) {
	waiter := func(id int) string {
		return one(id, "sync.Mutex.Lock, 31 minutes", lockAt("0xc000012340", "main.(*pool).get(0xc000012340):30")...)
	}
	s, details := snapshotOf(t, waiter(4)+waiter(5))
	s.Missing = 1
	f := Of(s, details, nil, nil)[0]
	assert.Contains(t, f.Message, "no goroutine in the dump is seen to hold it; 1 goroutine could not be read, and may.")
	assert.Equal(t, detectors.Suspected, f.Confidence)
}

// A queue behind a deadlock is part of it.
func TestQueuesBehindADeadlockAreToldWithIt(t *testing.T) {
	const a, b = "0xc000012340", "0xc000099990"
	dump := one(4, "sync.Mutex.Lock, 8 minutes", lockAt(b, "main.transfer("+a+", "+b+"):22")...) +
		one(5, "sync.Mutex.Lock, 8 minutes", lockAt(a, "main.transfer("+b+", "+a+"):22")...) +
		one(6, "sync.Mutex.Lock, 3 minutes", lockAt(a, "main.transfer("+a+", 0xc000077770):20")...)
	f := only(t, dump)
	assert.Equal(t, "Deadlock by lock order between goroutines 4 and 5: each most likely has a lock that another of them waits for, at main.transfer (main.go:22).", f.Message)
	assert.Equal(t, detectors.Suspected, f.Confidence)
	assert.Equal(t, 3, f.Count)
	require.Len(t, f.Participants, 3)
	assert.Equal(t, []detectors.Role{detectors.RoleCause, detectors.RoleCause, detectors.RoleWaiter}, []detectors.Role{f.Participants[0].Role, f.Participants[1].Role, f.Participants[2].Role})
}

func TestLeakMarksAndLeakProfiles(t *testing.T) {
	f := only(t, one(4, "chan send (leaked)", "main.publish(0x1):12")+one(5, "chan receive", "main.f()"))
	assert.Equal(t, "1 goroutine at main.publish (main.go:12) (chan send) is leaked: the runtime proved that nothing that can run refers to what it waits for.", f.Message)
	assert.Equal(t, "leak", f.Detector)
	assert.Equal(t, detectors.Confirmed, f.Confidence)

	s, _ := snapshotOf(t, one(4, "chan send", "main.publish(0x1):12"))
	s.Source = goroutine.SourceProof
	all := Of(s, nil, nil, nil)
	require.Len(t, all, 1)
	assert.Equal(t, f.Message, all[0].Message)
}

// What the program wrote into a panic is bounded, and addresses are hidden.
func TestMessagesAreShownInPart(t *testing.T) {
	f := diagnose(t, "panic: main.T{p:0xc000012340}\nsecond line\n\n"+one(7, "running", "main.f()"))[0]
	assert.Equal(t, "Panic in goroutine 7 at main.f (main.go:1): main.T{p:0x…} ….", f.Message)
	f = diagnose(t, "panic: "+strings.Repeat("é", 5000)+"\n\n"+one(7, "running", "main.f()"))[0]
	assert.Less(t, len(f.Message), 400)
}

// A signal that a process sent says nothing about C code that happened to run.
func TestSignalsThatAreSentWhileCRuns(t *testing.T) {
	for signal, want := range map[string]string{
		"SIGQUIT: quit\nPC=0x1 m=0 sigcode=0":                            "The process was ended by SIGQUIT, which asks for this dump: it did not crash by itself.",
		"SIGABRT: abort\nPC=0x1 m=0 sigcode=0":                           "The process was ended by SIGABRT: abort, which a process sent: it did not crash by itself.",
		"SIGABRT: abort\nPC=0x1 m=0 sigcode=18446744073709551610":        "The process was ended by SIGABRT: abort while goroutine 7 ran C code, called at main.f (main.go:1).",
		"SIGSEGV: segmentation violation\nPC=0x1 m=0 sigcode=1 addr=0x0": "The process was ended by SIGSEGV: segmentation violation while goroutine 7 ran C code, called at main.f (main.go:1).",
	} {
		found := diagnose(t, signal+"\nsignal arrived during cgo execution\n\n"+one(7, "syscall", "runtime.cgocall(0x1)", "main._Cfunc_g()", "main.f()"))
		assert.Equal(t, want, found[0].Message)
	}
}

// Two dumps show waits that neither shows alone.
func TestWhatStandsInTwoDumps(t *testing.T) {
	dump := strings.Replace(idleMain, ", 900 minutes", "", 1)
	for i := range 6 {
		dump += one(10+i, "chan send", "main.publish(0x1):12")
	}
	dump += one(20, "sync.Mutex.Lock", lockAt("0xc000012340", "main.(*pool).get(0xc000012340):30")...)
	_, before := snapshotOf(t, dump)
	of := func(dump string, ago time.Duration) (messages []string) {
		s, details := snapshotOf(t, dump)
		for _, f := range Of(s, details, &Earlier{before, ago}, nil) {
			messages = append(messages, f.Message)
		}
		return messages
	}
	assert.Empty(t, diagnose(t, dump))
	assert.Empty(t, of(dump, 30*time.Second))
	assert.Equal(t, []string{
		"1 goroutine waits for a lock at main.(*pool).get (main.go:30) for 6 min; no goroutine in the dump is seen to hold it: most likely it was not unlocked.",
		"6 goroutines have waited in chan send at main.publish (main.go:12) for up to 6 min: nothing has received.",
	}, of(dump+one(30, "chan send", "main.publish(0x1):12"), 6*time.Minute), "others may have come")
	moved := strings.Replace(dump, "goroutine 12 [chan send]", "goroutine 40 [chan send]", 1)
	assert.Len(t, of(moved, 6*time.Minute), 1, "one of the senders went on, so that the others may have")

	s, details := snapshotOf(t, dump)
	f := Of(s, details, &Earlier{before, 6 * time.Minute}, nil)[1]
	assert.Contains(t, f.Evidence, "In the dump of 6 min before, the same goroutines were at this place.")
	assert.Empty(t, diagnose(t, dump), "the details are not changed")
}

// What a diagnosis explains, the detectors do not tell again.
func TestJoin(t *testing.T) {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})
	lock := detectors.Finding{Detector: "deadlock", Confidence: detectors.High, Stack: stack, State: goroutine.MutexLock, IDs: []uint64{1, 2}}
	weak := detectors.Finding{Detector: "contention", Confidence: detectors.Medium, Stack: stack, State: goroutine.MutexLock}
	strong := detectors.Finding{Detector: "deadlock", Confidence: detectors.Certain, Stack: stack, State: goroutine.MutexLock}
	elsewhere := detectors.Finding{Detector: "deadlock", Confidence: detectors.Medium, Stack: goroutine.NewStack(nil), State: goroutine.MutexLock, IDs: []uint64{9}}
	assert.Equal(t, []detectors.Finding{lock, strong, elsewhere}, Join([]detectors.Finding{lock}, []detectors.Finding{weak, strong, elsewhere}))
}

// No input makes it panic, and what it says is bounded.
func FuzzOf(f *testing.F) {
	f.Add(one(4, "sync.Mutex.Lock, 8 minutes", lockAt("0xc000012340", "main.f(0xc000012340):3")...))
	f.Add("panic: a [recovered]\n\tpanic: b\n\n" + one(1, "running", "panic({0x1, 0x2})", "main.f()"))
	f.Add("fatal error: stack overflow\n\n" + one(1, "running", "main.f()", "main.f()"))
	f.Add("SIGILL: illegal instruction\nPC=0x1 m=0 sigcode=2\nsignal arrived during cgo execution\n\n" + one(1, "syscall", "main._Cfunc_f()", "main.f()"))
	f.Add("==================\nWARNING: DATA RACE\nRead at 0x00c000012340 by goroutine 7:\n  main.f()\n      /app/main.go:5 +0x1\n\nPrevious write at 0x00c000012340 by main goroutine:\n  main.main()\n      /app/main.go:7 +0x1\n==================\n")
	f.Add(strings.Replace(one(1, "semacquire, 9 minutes", lockAt("0xc000012340", "main.f(0xc000012340):3")...), "goroutine 1", "48 goroutines", 1) + idleMain)
	f.Fuzz(func(t *testing.T, text string) {
		s, details, _ := readDump(text)
		bounded(t, Of(s, details, &Earlier{Details: details, Ago: time.Hour}, nil))
		dumps, _ := parse.Dumps(strings.NewReader(text), s.Time, parse.NewStacks(), &goroutine.Births{})
		for i, d := range dumps {
			bounded(t, Of(d.Snapshot, Private(d.Details), &Earlier{Details: dumps[max(0, i-1)].Details, Ago: time.Hour}, nil))
		}
	})
}

func bounded(t *testing.T, findings []detectors.Finding) {
	for _, f := range findings {
		if f.Stack == nil || f.Message == "" || len(f.Message) > 4<<10 || len(f.Evidence) > detectors.MaxEvidence || len(f.Participants) > detectors.MaxParticipants || len(f.IDs) > goroutine.MaxIDs {
			t.Fatalf("%+v", f)
		}
	}
}
