// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/internal/capture"
)

// AwaitParked waits until every goroutine but the caller is parked: until the
// scheduler, asked twice, has none that is ready or running. Counting those
// that are parked would not do: the runtime's own are among them, and more of
// these come while one counts.
func AwaitParked() error {
	const patience = time.Minute
	began := time.Now()
	for quiet := 0; quiet < 2; time.Sleep(time.Millisecond) {
		s := capture.ReadScheduler()
		if s.Runnable == 0 && s.Running <= 1 {
			quiet++
			continue
		}
		quiet = 0
		if time.Since(began) > patience {
			return fmt.Errorf("%d goroutines are ready and %d run after %v, expected all to be parked", s.Runnable, s.Running, patience)
		}
	}
	return nil
}

// A Turn is a frame of a stack. It calls the next one, which the path chooses,
// until the depth is used up, and then park.
type Turn func(path, depth int, park func())

// Step returns the turn that a path begins with. With four of them, seven frames
// make 16,384 distinct stacks.
func Step(path int) Turn { return [...]Turn{north, east, south, west}[path%4] }

func next(path, depth int) Turn {
	if depth == 0 {
		return arrive
	}
	return Step(path)
}

func north(path, depth int, park func()) { next(path, depth)(path/4, depth-1, park) }
func east(path, depth int, park func())  { next(path, depth)(path/4, depth-1, park) }
func south(path, depth int, park func()) { next(path, depth)(path/4, depth-1, park) }
func west(path, depth int, park func())  { next(path, depth)(path/4, depth-1, park) }
func arrive(_, _ int, park func())       { park() }
