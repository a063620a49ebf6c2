// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A Class is a kind of fault. A sound program has the class of the fault that
// it is the correct version of, or one of its own.
type Class string

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

	// Warns says that a warning about a sound program is no mistake.
	Warns bool

	// Soon is, for a fault that stops a service, the least confidence of the event
	// that must come within three minutes, or nothing; Roots are the ways in which
	// that event may name the root.
	Soon  string
	Roots []Root

	// Grows says what makes a verdict right when goroutines grow in number: in a
	// faulty program, and in a sound one. Roots are the ways in which it may name
	// what grows.
	Grows *Growth

	// Main says that the main goroutine of a process must be the one that calls Run.
	Main bool

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

// A Growth is what is wanted of a verdict about goroutines that grow in number.
type Growth struct {
	Confidence string        // the least for a fault, the most for a sound program
	Within     time.Duration // of a service, from the first of the goroutines; 0: for a sound program
}

// A Root is what a text must have to name the root of a fault: all of these.
type Root []rootPart

// A rootPart is a function as it is written in the source, or words.
type rootPart struct {
	text     string
	function bool
}

// Names reports whether a text for people names the root.
func (s *Scenario) Names(text string) bool {
	return slices.ContainsFunc(s.Roots, func(r Root) bool {
		return !slices.ContainsFunc(r, func(p rootPart) bool { return !p.in(text) })
	})
}

// in reports whether the part is in a text: words anywhere, a function between
// what is no part of a name.
func (p rootPart) in(text string) bool {
	if !p.function {
		return strings.Contains(text, p.text)
	}
	return regexp.MustCompile(`(^|[^\w])` + regexp.QuoteMeta(p.text) + `($|[^\w])`).MatchString(text)
}

// roots reads the ways to name a root: "`fetch`; "words" + "more words"".
func roots(cell string) (all []Root) {
	for way := range strings.SplitSeq(cell, "; ") {
		var r Root
		for part := range strings.SplitSeq(way, " + ") {
			r = append(r, rootPart{part[1 : len(part)-1], part[0] == '`'})
		}
		all = append(all, r)
	}
	return all
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

// A program is the code of a faulty scenario and its sound twin. It asks
// [Env.Fails] or e.sound where they differ. One of the names may be empty.
type program struct {
	run           func(*Env)
	faulty, sound string
}

// with binds what programs that share code differ in.
func with[T any](run func(*Env, T), v T) func(*Env) { return func(e *Env) { run(e, v) } }

// truth says what each program is, and is for people too.
//
//go:embed programs.md
var truth string

var code = slices.Concat(channels, contexts, waitGroups, conds, locks, orders, groups, timers, web, pools, hidden, nevers, processes, shapes, waits, hangs, libraryHangs, purposes,
	living, eternal, connections, timed, orphans)

var all = read(truth, code)

// All returns all scenarios: by class, the faulty ones first, and name.
func All() []Scenario { return slices.Clone(all) }

// Classes returns all classes, in the order of reports.
func Classes() (classes []Class) {
	for _, s := range all {
		classes = append(classes, s.Class)
	}
	return slices.Compact(classes)
}

// Find returns the scenario of that name.
func Find(name string) (Scenario, bool) {
	i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name })
	if i < 0 {
		return Scenario{}, false
	}
	return all[i], true
}

// read returns the scenarios of a document whose sections are classes and whose
// rows are programs: name, truth and description. The last sections say of some why
// they are beyond watching, which must be told soon, and what grows in them. A
// mistake in it is a panic: tests read it too.
func read(document string, programs []program) (all []Scenario) {
	var class Class
	for line := range strings.Lines(document) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			class = Class(strings.TrimSpace(title))
		}
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if len(cells) != 3 || cells[0] == "| program" {
			continue
		}
		name, told, doc := strings.TrimPrefix(cells[0], "| "), cells[1], strings.TrimSuffix(cells[2], " |")
		if i := slices.IndexFunc(all, func(s Scenario) bool { return s.Name == name }); i >= 0 {
			all[i].more(class, told, doc)
			continue
		}
		s := Scenario{Name: name, Class: class, Doc: doc, Warns: told == "sound, may warn", Main: told == "sound, on main"}
		s.Faulty = told != "sound" && !s.Warns && !s.Main
		if s.Faulty {
			s.Expect = expectations(told)
		}
		s.Run = find(programs, s.Faulty, name)
		all = append(all, s)
	}
	return all
}

// more adds what one of the last sections says.
func (s *Scenario) more(section Class, second, third string) {
	switch section {
	case "Beyond watching":
		s.Beyond, s.Proof = third, second == "yes"
	case "Told within three minutes":
		s.Soon, s.Roots = second, roots(third)
	case "What grows", "What is alive":
		s.Grows, s.Roots = growth(second), roots(third)
	default:
		panic(fmt.Sprintf("programs.md: %s is there twice", s.Name))
	}
}

// growth reads a confidence, and for a fault how soon: "medium, 25 min".
func growth(cell string) *Growth {
	confidence, within, _ := strings.Cut(cell, ", ")
	g := &Growth{Confidence: confidence}
	if within != "" {
		d, err := time.ParseDuration(strings.ReplaceAll(strings.TrimSuffix(within, "in"), " ", ""))
		if err != nil {
			panic(fmt.Sprintf("programs.md: %q: %v", cell, err))
		}
		g.Within = d
	}
	return g
}

// expectations reads what may be found: "leak at `fetch`, 5; ...".
func expectations(told string) (all []Expectation) {
	for part := range strings.SplitSeq(told, "; ") {
		var x Expectation
		detector, rest, _ := strings.Cut(part, " at `")
		function, least, _ := strings.Cut(rest, "`, ")
		x.Detector, x.Function = detector, function
		if _, err := fmt.Sscan(least, &x.Least); err != nil {
			panic(fmt.Sprintf("programs.md: %q: %v", part, err))
		}
		all = append(all, x)
	}
	return all
}

// find returns the code of a program.
func find(programs []program, faulty bool, name string) func(*Env) {
	for _, p := range programs {
		switch {
		case faulty && p.faulty == name:
			return p.run
		case !faulty && p.sound == name:
			return func(e *Env) { e.sound = true; p.run(e) }
		}
	}
	panic(fmt.Sprintf("programs.md: no code for %q", name))
}
