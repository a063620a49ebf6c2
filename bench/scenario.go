// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// A scenario is one process: what its goroutines do, how many they are, and
// how often each method takes a snapshot of them.
type scenario struct {
	Shape   string
	Size    int // goroutines
	Rounds  int
	Large   bool // only the methods that bear it, with the memory that they take
	Reading bool // metrics are read, instead of snapshots taken
}

const (
	// baseShape is the one that scenarios of different sizes are compared in.
	baseShape = "deep12"
	// readingShape is the one in which metrics are read: it has more stacks than
	// our instruments show, so that no program makes them cost more.
	readingShape = "distinct"
	// lockShape is the one whose goroutines wait for one lock.
	lockShape = "convoy"

	largeSize   = 1_000_000
	largeRounds = 3
)

func (s scenario) String() string {
	what := s.Shape
	if s.Reading {
		what = "reading metrics"
	}
	return fmt.Sprintf("%s goroutines, %s", lab.Thousands(s.Size), what)
}

// A shape is what the goroutines of a scenario do.
type shape struct {
	name   string
	doc    string
	stacks int // distinct ones
	turns  int // frames between the entry of a goroutine and where it waits
	fill   func(p *population, n int, s *shape) error
}

// shapes are the shapes. A goroutine that waits on a channel has turns and six
// frames more.
var shapes = []shape{
	{"shallow", "7 frames, 6 distinct stacks, waiting on channels", 6, 2, (*population).receivers},
	{"deep12", "12 frames, 6 distinct stacks, waiting on channels", 6, 7, (*population).receivers},
	{"deep60", "60 frames, 6 distinct stacks, waiting on channels", 6, 55, (*population).receivers},
	{readingShape, "12 frames, 2,000 distinct stacks, waiting on channels", 2000, 7, (*population).receivers},
	{lockShape, "all wait for one mutex", 6, 7, (*population).convoy},
	{"iowait", "all that get a pipe wait for it, the others on channels", 6, 7, (*population).readers},
	{"busy", "as deep12, beside goroutines that keep every core busy", 6, 7, (*population).busy},
}

func shapeNames() (names []string) {
	for _, s := range shapes {
		names = append(names, s.name)
	}
	return names
}

func shapeHelp() (help string) {
	for _, s := range shapes {
		help += fmt.Sprintf("%-9s %s\n", s.name, s.doc)
	}
	return help
}

func shapeOf(name string) (*shape, error) {
	if i := slices.Index(shapeNames(), name); i >= 0 {
		return &shapes[i], nil
	}
	return nil, fmt.Errorf("no shape %q", name)
}
