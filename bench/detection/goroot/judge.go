// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/bench/detection/internal/watch"
)

// A result is what is thought of one run.
type result struct {
	Name   string
	Err    error
	Leaked int             // goroutines that can never go on, by the runtime's own profile
	By     *watch.Finding  // the first that names a function they stand in; nil: not found
	Info   *watch.Finding  // the first growth, information, that names such a function
	Others []watch.Finding // that name another function
}

func judge(name string, seen *watch.Observation, err error) result {
	r := result{Name: name, Err: err}
	if err != nil {
		return r
	}
	for _, l := range seen.Leaked {
		r.Leaked += l.Count
	}
	for _, f := range seen.Findings {
		stands := func(l watch.Group) bool { return slices.Contains(l.Functions, f.Function) }
		switch {
		case f.Confidence == "info" && f.Detector == "growth" && slices.ContainsFunc(seen.Leaked, stands) && r.Info == nil:
			r.Info = &f
		case f.Confidence == "info":
		case f.Detector == "stall": // true of a process that does nothing else, which no service is
		case !slices.ContainsFunc(seen.Leaked, stands):
			r.Others = append(r.Others, f)
		case r.By == nil:
			r.By = &f
		}
	}
	return r
}

func (r *result) String() string {
	switch {
	case r.Err != nil:
		return "failed: " + r.Err.Error()
	case r.By != nil:
		return fmt.Sprintf("found by %s (%s) after %v: %s; %d leaked", r.By.Detector, r.By.Confidence, r.By.At.Round(100*time.Millisecond), r.By.Function, r.Leaked)
	case r.Leaked == 0:
		return "the fault did not happen" + r.others()
	default:
		return fmt.Sprintf("NOT FOUND: %d leaked", r.Leaked) + r.told() + r.others()
	}
}

// told says what was told as information.
func (r *result) told() string {
	if r.Info == nil {
		return ""
	}
	return "; told as information: growth at " + r.Info.Function
}

// others lists what was found that the runtime's profile does not confirm.
func (r *result) others() string {
	var names []string
	for _, f := range r.Others {
		if name := f.Detector + " (" + f.Confidence + ") " + f.Function; !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	if names == nil {
		return ""
	}
	return "; unconfirmed: " + strings.Join(names, ", ")
}

// A tally is what came out of one setting.
type tally struct{ found, happened, unhappened, failed, unconfirmed int }

func (t tally) tooFew() bool { return float64(t.found) < watch.LeastRecall*float64(t.happened) }

func count(results []result) (t tally) {
	for i := range results {
		switch r := &results[i]; {
		case r.Err != nil:
			t.failed++
		case r.Leaked == 0:
			t.unhappened++
			t.unconfirmed += min(len(r.Others), 1)
		case r.By != nil:
			t.found++
			fallthrough
		default:
			t.happened++
		}
	}
	return t
}

// printRest lists what else a reader should know of a setting.
func printRest(w io.Writer, way string, results []result) {
	for i := range results {
		if r := &results[i]; r.By == nil && (r.Leaked > 0 || r.Err != nil || len(r.Others) > 0) {
			fmt.Fprintf(w, "- %s, %s: %s\n", r.Name, way, r)
		}
	}
}
