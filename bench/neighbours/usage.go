// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
)

// A usage is what the process has at one moment. Where the system does not tell,
// a value is 0.
type usage struct{ live, rss, threads, fds, goroutines int64 }

func measure() usage {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}} // after the last collection
	metrics.Read(live)
	u := usage{live: int64(live[0].Value.Uint64()), goroutines: int64(runtime.NumGoroutine())}
	if names, err := os.ReadDir("/proc/self/fd"); err == nil {
		u.fds = int64(len(names))
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return u
	}
	for line := range strings.Lines(string(status)) {
		var n int64
		if _, err := fmt.Sscanf(line, "VmRSS: %d kB", &n); err == nil {
			u.rss = n << 10
		}
		if _, err := fmt.Sscanf(line, "Threads: %d", &n); err == nil {
			u.threads = n
		}
	}
	return u
}

// samples is how many samples a phase would have if it took no more captures than
// asked for and did not warm up.
const samples = 100

// A series is what the process had in the course of a phase.
type series struct {
	all  []usage
	last int // captures at the last sample
}

// sample measures after every hundredth of the captures.
func (s *series) sample(taken, wanted int) {
	if taken >= s.last+max(wanted/samples, 1) {
		s.last = taken
		s.all = append(s.all, measure())
	}
}

// thirds returns the medians of the first and of the last third.
func (s *series) thirds() (first, last usage) {
	third := len(s.all) / 3
	if third == 0 {
		return first, last
	}
	return medians(s.all[:third]), medians(s.all[len(s.all)-third:])
}

func medians(all []usage) usage {
	of := func(value func(usage) int64) int64 {
		values := make([]int64, len(all))
		for i, u := range all {
			values[i] = value(u)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return usage{
		live:       of(func(u usage) int64 { return u.live }),
		rss:        of(func(u usage) int64 { return u.rss }),
		threads:    of(func(u usage) int64 { return u.threads }),
		fds:        of(func(u usage) int64 { return u.fds }),
		goroutines: of(func(u usage) int64 { return u.goroutines }),
	}
}

// faults returns what has grown. The bounds are for what comes and goes: garbage
// that is not collected yet, threads in system calls, connections, requests; slack
// is a factor for them. If every capture left a descriptor or a goroutine behind,
// a few hundred captures would exceed them.
func (s *series) faults(slack int64) (list []string) {
	first, last := s.thirds()
	for _, r := range []struct {
		what               string
		first, last, bound int64
	}{
		{"live heap in MiB", first.live >> 20, last.live >> 20, first.live>>20*5/4 + 16*slack},
		{"resident memory in MiB", first.rss >> 20, last.rss >> 20, first.rss>>20*5/4 + 64*slack},
		{"threads", first.threads, last.threads, first.threads + 16*slack},
		{"file descriptors", first.fds, last.fds, first.fds + 16*slack},
		{"goroutines", first.goroutines, last.goroutines, first.goroutines*5/4 + 64*slack},
	} {
		if r.last > r.bound {
			list = append(list, fmt.Sprintf("%s: %d in the first third, %d in the last; must be at most %d", r.what, r.first, r.last, r.bound))
		}
	}
	return list
}
