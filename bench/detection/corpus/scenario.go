package corpus

import (
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

// All returns all scenarios, by class and name.
func All() []Scenario {
	all := slices.Concat(
		sends(), receives(), cancels(), closes(), waitGroups(), conds(),
		locks(), orders(), groups(), timers(), web(), pools(), hidden(), nevers(), processes(),
		shapes(), waits(),
	)
	order := Classes()
	slices.SortStableFunc(all, func(a, b Scenario) int {
		if c := slices.Index(order, a.Class) - slices.Index(order, b.Class); c != 0 {
			return c
		}
		switch {
		case a.Faulty == b.Faulty:
			return strings.Compare(a.Name, b.Name)
		case a.Faulty:
			return -1
		}
		return 1
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

// leak, deadlock and so on expect one detector at a function.
func leak(functions ...string) []Expectation { return expect("leak", 5, functions) }
func stuck(functions ...string) []Expectation {
	return append(expect("deadlock", 1, functions), expect("leak", 1, functions)...)
}

func expect(detector string, least int, functions []string) (all []Expectation) {
	for _, f := range functions {
		all = append(all, Expectation{detector, f, least})
	}
	return all
}
