// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/goleak"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/watch"
)

// The rules that people use today, by their places in rules.
const (
	ruleGrew = iota
	ruleBlocked
	ruleSame
	ruleGoleak
	ruleProfile
)

var rules = [...]string{
	ruleGrew:    "count grew in over 80 % of the last ten samples",
	ruleBlocked: "two goroutines or more blocked at the same channel operation",
	ruleSame:    "stack unchanged between two checks",
	ruleGoleak:  "goleak.Find, with IgnoreCurrent at the start",
	ruleProfile: "the runtime's goroutineleak profile",
}

// An alarm is what a rule says of one run.
type alarm struct {
	Missing bool // this Go version or build has it not
	Raised  bool
	Named   bool // it named a function where the fault is to be found
}

// rivals applies the other rules to this process. Like the child they are
// driven by timers, so that none of their goroutines waits.
type rivals struct {
	scenario *corpus.Scenario
	order    order
	ignore   goleak.Option

	mu     sync.Mutex
	counts []int
	before map[string]bool // goroutines of the last check, by ID and stack
	alarms [len(rules)]alarm
}

func newRivals(s *corpus.Scenario, o order) *rivals {
	return &rivals{scenario: s, order: o, ignore: goleak.IgnoreCurrent()}
}

// start begins to count every minute, and to dump all stacks at four pairs of
// moments, a minute apart: each dump stops the world.
func (r *rivals) start() {
	time.AfterFunc(r.order.minute(), r.sample)
	for _, share := range []float64{0.3, 0.5, 0.7, 0.9} {
		at := time.Duration(share * float64(r.order.Duration))
		time.AfterFunc(at, func() { r.check(false) })
		time.AfterFunc(at+r.order.minute(), func() { r.check(true) })
	}
}

func (r *rivals) sample() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts = append(r.counts, runtime.NumGoroutine())
	if n := len(r.counts); n >= 10 && grew(r.counts[n-10:]) {
		r.raise(ruleGrew, true) // it cannot name anything: it is given the benefit
	}
	time.AfterFunc(r.order.minute(), r.sample)
}

func grew(counts []int) bool {
	up := 0
	for i := 1; i < len(counts); i++ {
		if counts[i] > counts[i-1] {
			up++
		}
	}
	return float64(up) > 0.8*float64(len(counts)-1)
}

// check dumps all goroutines. The second check of a pair compares.
func (r *rivals) check(second bool) {
	all := dump()
	r.mu.Lock()
	defer r.mu.Unlock()
	now, sending := make(map[string]bool, len(all)), make(map[string]int)
	for i := range all {
		g := &all[i]
		if strings.HasPrefix(g.state, "chan ") {
			if sending[g.place()]++; sending[g.place()] >= 2 {
				r.raise(ruleBlocked, named(g.body, r.scenario))
			}
		}
		if g.blocked() {
			key := g.id + g.body
			now[key] = true
			if second && r.before[key] {
				r.raise(ruleSame, named(g.body, r.scenario))
			}
		}
	}
	r.before = now
}

func (r *rivals) raise(rule int, named bool) {
	a := &r.alarms[rule]
	a.Raised, a.Named = true, a.Named || named
}

// finish applies the rules for the end, and returns all alarms. The runtime's
// profile comes last: goroutines that it takes for leaked must not be woken
// afterwards.
func (r *rivals) finish() [len(rules)]alarm {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := goleak.Find(r.ignore); err != nil {
		r.raise(ruleGoleak, named(err.Error(), r.scenario))
	}
	leaked, err := watch.Leaked()
	r.alarms[ruleProfile].Missing = errors.Is(err, watch.ErrNoProof)
	for _, g := range leaked {
		if len(g.Functions) > 0 && !slices.Contains(g.Functions, "main.main") {
			r.raise(ruleProfile, slices.ContainsFunc(g.Functions, func(f string) bool { return expected(r.scenario, f) }))
		}
	}
	return r.alarms
}

// A dumped is a goroutine in a dump.
type dumped struct{ id, state, body string }

var header = regexp.MustCompile(`^goroutine (\d+) \[([^\],]+)`)

// dump returns all goroutines but those of the monitor, of the OpenTelemetry
// SDK and the main one: users of the other rules have not got them.
func dump() (all []dumped) {
	text := make([]byte, 1<<20)
	n := runtime.Stack(text, true)
	for n == len(text) && n < 64<<20 {
		text = make([]byte, 2*n)
		n = runtime.Stack(text, true)
	}
	for block := range strings.SplitSeq(string(text[:n]), "\n\n") {
		head, body, _ := strings.Cut(block, "\n")
		m := header.FindStringSubmatch(head)
		if m == nil || strings.Contains(body, "go.opentelemetry.io/otel/") || strings.Contains(body, "github.com/otelgoroutine/go/otelgoroutine.") || strings.Contains(body, "main.main()") {
			continue
		}
		all = append(all, dumped{m[1], m[2], body})
	}
	return all
}

func (g *dumped) blocked() bool {
	return strings.HasPrefix(g.state, "chan ") || strings.HasPrefix(g.state, "select") ||
		strings.HasPrefix(g.state, "sync.") || g.state == "semacquire"
}

// place is the innermost function with its line.
func (g *dumped) place() string {
	function, rest, _ := strings.Cut(g.body, "\n")
	line, _, _ := strings.Cut(rest, "\n")
	return bare(function) + line
}

// named reports whether one of the lines of a dump is an expected function.
func named(text string, s *corpus.Scenario) bool {
	for line := range strings.SplitSeq(text, "\n") {
		if expected(s, bare(line)) {
			return true
		}
	}
	return false
}

// bare takes the arguments off a line of a dump.
func bare(line string) string {
	if i := strings.LastIndexByte(line, '('); i > 0 && strings.HasSuffix(line, ")") {
		return line[:i]
	}
	return line
}

// standing returns how many goroutines are within an expected function.
func standing(all []dumped, s *corpus.Scenario) (n int) {
	for i := range all {
		if named(all[i].body, s) {
			n++
		}
	}
	return n
}
