package corpus

import (
	"cmp"
	"slices"
	"strings"
)

// A Class is a kind of fault. A sound program has the class of the fault that
// it is the correct version of, or one of its own.
type Class string

// The classes.
const (
	AbandonedSend    Class = "abandoned send"
	AbandonedReceive Class = "abandoned receive"
	ForgottenCancel  Class = "forgotten context cancel"
	MissingClose     Class = "missing close"
	WaitGroupCount   Class = "WaitGroup miscount"
	LostSignal       Class = "lost Cond signal"
	DoubleLock       Class = "double lock"
	LockOrder        Class = "AB-BA"
	LockCycle        Class = "three-way cycle"
	ReaderWriter     Class = "RWMutex reader-writer-reader"
	LockOverChannel  Class = "lock held over channel operation"
	LockNotReleased  Class = "lock held by a goroutine that returned"
	GroupMisuse      Class = "errgroup and semaphore misuse"
	EndlessLoop      Class = "timer and ticker loops"
	HTTP             Class = "HTTP handlers and clients"
	ResourcePool     Class = "pools of resources"
	SlowLeak         Class = "slow leak among heavy traffic"
	SharedStack      Class = "leak sharing its stack"
	Reachable        Class = "leak reachable from a global"
	ManyPaths        Class = "many paths, recursion, generics"
	Never            Class = "nil channel, select {}"
	Standstill       Class = "standstill of the process"
	Load             Class = "surge, pile-up, contention"
	Shapes           Class = "shapes of healthy load"
	Waiting          Class = "healthy long waits"
)

// Classes returns all classes, in the order of reports.
func Classes() []Class {
	return []Class{
		AbandonedSend, AbandonedReceive, ForgottenCancel, MissingClose, WaitGroupCount, LostSignal,
		DoubleLock, LockOrder, LockCycle, ReaderWriter, LockOverChannel, LockNotReleased,
		GroupMisuse, EndlessLoop, HTTP, ResourcePool, SlowLeak, SharedStack, Reachable, ManyPaths,
		Never, Standstill, Load, Shapes, Waiting,
	}
}

// A Scenario is one program.
type Scenario struct {
	Name  string // lower case, with hyphens; unique
	Class Class
	Doc   string // one sentence: what goes wrong, or what looks wrong and is not

	// Faulty scenarios have a fault, which one of Expect describes each. The
	// others are sound: nothing should be found.
	Faulty bool
	Expect []Expectation

	// Beyond says why the fault cannot be told from a sound program by
	// watching, if that is so, and Proof that the runtime's leak proof can.
	Beyond string
	Proof  bool

	// Run starts the program. It may return, with the program running on, or
	// not.
	Run func(*Env)
}

// An Expectation is a finding that counts as the fault of a scenario.
type Expectation struct {
	Detector string // name of the detector
	Function string // as it is written in the source: "fetch", "(*cache).get"; closures in it count as it
	Least    int    // how many goroutines must stand there at the end, if the fault is true
}

// Possible reports whether a fault can be found without the leak proof.
func (s *Scenario) Possible() bool { return s.Faulty && s.Beyond == "" }

// Matches reports whether a function name as the runtime tells it is that of
// the expectation, or a closure in it.
func (x Expectation) Matches(function string) bool { return Within(function, x.Function) }

// Within reports whether function, as the runtime tells it, is the one called
// name in the source, or a closure in it.
func Within(function, name string) bool {
	return strings.Contains("."+strings.ReplaceAll(function, "[...]", "")+".", "."+name+".")
}

// All returns all scenarios, by class, the faulty ones first, and name.
func All() []Scenario {
	all := slices.Concat(channels, contexts, waitGroups, conds, locks, orders, groups, timers, web, pools, hidden, nevers, processes, shapes, waits)
	order := Classes()
	slices.SortStableFunc(all, func(a, b Scenario) int {
		sound := map[bool]int{false: 1}
		return cmp.Or(slices.Index(order, a.Class)-slices.Index(order, b.Class), sound[a.Faulty]-sound[b.Faulty], strings.Compare(a.Name, b.Name))
	})
	return all
}

// Find returns the scenario of that name.
func Find(name string) (Scenario, bool) {
	all := All()
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, false
	}
	return all[i], true
}

// twins returns a faulty program and its sound twin. They are the same code,
// which asks [Env.Fails] or e.sound where they differ.
func twins(c Class, expect []Expectation, run func(*Env), faultyName, faultyDoc, soundName, soundDoc string) []Scenario {
	return append(faulty(c, expect, run, faultyName, faultyDoc), sound(c, run, soundName, soundDoc)...)
}

func faulty(c Class, expect []Expectation, run func(*Env), name, doc string) []Scenario {
	return []Scenario{{Name: name, Class: c, Doc: doc, Faulty: true, Expect: expect, Run: run}}
}

func sound(c Class, run func(*Env), name, doc string) []Scenario {
	return []Scenario{{Name: name, Class: c, Doc: doc, Run: func(e *Env) { e.sound = true; run(e) }}}
}

// beyond marks the first of some programs as one whose fault cannot be told by
// watching.
func beyond(why string, proof bool, s []Scenario) []Scenario {
	s[0].Beyond, s[0].Proof = why, proof
	return s
}

// with binds the number in which two programs that share code differ.
func with[T any](run func(*Env, T), v T) func(*Env) { return func(e *Env) { run(e, v) } }

// leak, stuck and one say what is expected of which detector at a function.
func leak(functions ...string) []Expectation { return expect("leak", 5, functions) }

func stuck(functions ...string) []Expectation {
	return append(expect("deadlock", 1, functions), expect("leak", 1, functions)...)
}

func one(detector, function string, least int) []Expectation {
	return []Expectation{{detector, function, least}}
}

func expect(detector string, least int, functions []string) (all []Expectation) {
	for _, f := range functions {
		all = append(all, Expectation{detector, f, least})
	}
	return all
}
