// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// environmentPrefix begins the name of every environment variable that [Start] reads.
const environmentPrefix = "OTELGOROUTINE_"

// maxTold bounds what a message repeats of a variable's name or value, in bytes.
const maxTold = 128

// reserved are the variables with the prefix that belong to others: the test suites of
// this module. A * stands for any rest.
var reserved = []string{"TEST_*", "BENCH_*", "EXAMPLE_*", "HOSTTEST_*", "SERVERS_*", "NEIGHBOURS", "REAL_PROGRAMS", "SAFETY_SOAK"}

// misread reports mistakes in the environment of the process, each once, whatever the
// number of monitors.
var misread = new(complaints)

// WithoutEnvironment makes [Start] ignore the environment variables that begin with
// OTELGOROUTINE_, for programs and tests in which nothing but the code decides.
// Otherwise these variables win over the options, because an operator cannot
// rebuild the service. docs/environment.md lists them.
//
// A variable with a value that is not accepted, or with the prefix and an unknown name,
// is reported to the OpenTelemetry error handler, once per process. It is never an error
// of Start, and the value of the code stays.
func WithoutEnvironment() Option {
	return optionFunc(func(c *config) { c.noEnvironment = true })
}

// WithSettings sets options from data, by the names of the environment variables in
// lower case without their prefix: interval, budget_cpu, detectors. It is for the node
// of this library in a file of OpenTelemetry's declarative configuration, below
// instrumentation/development and go, as otelconf parses it: values are strings,
// numbers, truth values, and lists of these. docs/environment.md has an example.
//
// Settings win over the other options, whatever their order, and the environment wins
// over settings. Like mistakes in the environment, mistakes in settings are reported to
// the OpenTelemetry error handler and are not fatal. A nil map sets nothing.
func WithSettings(settings map[string]any) Option {
	return optionFunc(func(c *config) {
		for name, value := range settings {
			c.settings = append(c.settings, assignment{origin: "setting " + clipped(name), name: strings.ToUpper(name), value: textOf(value)})
		}
		slices.SortStableFunc(c.settings, func(a, b assignment) int { return strings.Compare(a.name, b.name) })
	})
}

// textOf returns a value of a configuration file in the form that an environment
// variable has.
func textOf(value any) string {
	list, ok := value.([]any)
	if !ok {
		return scalar(value)
	}
	parts := make([]string, 0, len(list))
	for _, part := range list {
		parts = append(parts, scalar(part))
	}
	return strings.Join(parts, ",")
}

// scalar returns a value that is not a list. Of other values it returns the type, which
// no variable accepts.
func scalar(value any) string {
	switch value.(type) {
	case nil:
		return "" // as a variable that is not set
	case string, bool, int, int64, uint64, float64, time.Duration:
		return fmt.Sprint(value)
	}
	return fmt.Sprintf("(%T)", value)
}

// An assignment is a variable or a setting with its value.
type assignment struct {
	origin string // for messages
	name   string // without the prefix, in upper case
	value  string
}

// operate lets the settings and the environment have their say, after the options.
func (c *config) operate() {
	c.assign(c.settings)
	if !c.noEnvironment {
		c.assign(environment(os.Environ()))
	}
}

// environment returns what the variables with our prefix say, sorted by name. An empty
// variable counts as not set, as everywhere in OpenTelemetry.
func environment(environ []string) (all []assignment) {
	for _, entry := range environ {
		name, ours := strings.CutPrefix(entry, environmentPrefix)
		name, value, _ := strings.Cut(name, "=")
		if ours && value != "" && !isReserved(name) {
			all = append(all, assignment{origin: clipped(environmentPrefix + name), name: name, value: value})
		}
	}
	slices.SortFunc(all, func(a, b assignment) int { return strings.Compare(a.name, b.name) })
	return all
}

func isReserved(name string) bool {
	return slices.ContainsFunc(reserved, func(pattern string) bool {
		start, open := strings.CutSuffix(pattern, "*")
		return name == pattern || open && strings.HasPrefix(name, start)
	})
}

// assign applies values in the order of the table, and reports those that are not
// accepted.
func (c *config) assign(all []assignment) {
	for _, v := range variables {
		for _, a := range all {
			if a.name != v.name || a.value == "" {
				continue
			}
			if err := v.apply(c, strings.TrimSpace(a.value)); err != nil {
				tell(a, fmt.Errorf("otelgoroutine: %s=%q is ignored: %w", a.origin, clipped(a.value), err))
			}
		}
	}
	for _, a := range all {
		if !isVariable(a.name) {
			tell(a, fmt.Errorf("otelgoroutine: %s is not known; the nearest name is %s", a.origin, nearest(a)))
		}
	}
}

func tell(a assignment, err error) { misread.complain(a.origin+"="+clipped(a.value), err) }

// apply sets what the variable is about. If the value is not accepted, or contradicts
// the other options, c is as before: Start must not fail because of a variable.
func (v variable) apply(c *config, value string) error {
	trial := *c
	trial.errs = nil
	err := v.set(&trial, value)
	if errors.Is(err, errNotAccepted) {
		return fmt.Errorf("it must be %s", v.accepts)
	}
	if err != nil {
		return err
	}
	if c.agrees() {
		trial.together()
	}
	if len(trial.errs) > 0 {
		return errors.New(strings.ReplaceAll(errors.Join(trial.errs...).Error(), "otelgoroutine: ", ""))
	}
	trial.errs = c.errs
	*c = trial
	return nil
}

// agrees reports whether the options do not contradict each other. If they do, Start
// fails because of the code, and no variable is to blame.
func (c *config) agrees() bool {
	alone := *c
	alone.errs = nil
	alone.together()
	return len(alone.errs) == 0
}

func isVariable(name string) bool {
	return slices.ContainsFunc(variables, func(v variable) bool { return v.name == name })
}

// nearest returns the known name that resembles an unknown one most, in the form in
// which the unknown one was written.
func nearest(a assignment) string {
	name := clipped(a.name)
	best := slices.MinFunc(variables, func(a, b variable) int { return distance(name, a.name) - distance(name, b.name) }).name
	if strings.HasPrefix(a.origin, environmentPrefix) {
		return environmentPrefix + best
	}
	return strings.ToLower(best)
}

// distance returns how many letters must be inserted, removed or replaced to make b of
// a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}

func clipped(s string) string {
	if len(s) <= maxTold {
		return s
	}
	return s[:maxTold] + "…"
}
