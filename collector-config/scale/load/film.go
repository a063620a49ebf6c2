// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"fmt"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A Film is a recording as the library sees it. The library judges it once, in
// place of all replicas that show it.
type Film struct{ Scenes []Scene }

// A Scene is one snapshot of a Film, and what the detectors said.
type Scene struct {
	Snapshot *goroutine.Snapshot
	Statuses []detectors.Status
}

// Films reads recordings, as if their moments were interval apart and the last one
// now.
func Films(recordings []Recording, interval time.Duration) ([]Film, error) {
	films := make([]Film, len(recordings))
	for i, r := range recordings {
		begin := time.Now().Add(-interval * time.Duration(len(r.Traces)-1))
		decoder := parse.NewTraceDecoder(nil, nil)
		decoder.ExcludeReader = true
		judges := engine.New(engine.Config{Detectors: detectors.Default(), Interval: interval})
		for k, data := range r.Traces {
			s, err := decoder.Decode(data, begin.Add(interval*time.Duration(k)))
			if err != nil {
				return nil, fmt.Errorf("trace %d of recording %d: %w", k+1, i+1, err)
			}
			s.Duration = time.Millisecond
			films[i].Scenes = append(films[i].Scenes, Scene{s, judges.Step(s).Statuses})
		}
	}
	return films, nil
}

// stackBytes is the length of a stack in a finding. The library cuts it at 16 KiB.
const stackBytes = 16 << 10

// findings returns n findings of replica i, each at a stack of its own whose text
// fills what the library sends. Replicas of a fleet have the same stacks.
func findings(i, n int, now time.Time) []detectors.Finding {
	all := make([]detectors.Finding, n)
	for k := range all {
		stack := longStack(k)
		all[k] = detectors.Finding{
			ID: fmt.Sprintf("%08x%08x", i, k), Opened: now, Detector: "hang", Confidence: detectors.High,
			Stack: stack, State: goroutine.ChanReceive, Count: 120, GrowthPerMinute: 12, Age: 2 * time.Minute,
			IDs:     []uint64{101, 102, 105, 109, 230, 231, 232, 233, 240, 251},
			Message: fmt.Sprintf("120 goroutines at %s have not moved on for 2 min, while others keep arriving.", stack.User().Function),
			Evidence: []string{
				"12 goroutines arrive here each minute, and none left within the last 2 min.",
				"Before that, goroutines left this place after 40 ms at the median.",
			},
			Advice: "Find out what should receive from the channel.",
		}
	}
	return all
}

// longStack returns a stack whose text is at least stackBytes long.
func longStack(k int) *goroutine.Stack {
	frames := []goroutine.Frame{{Function: "runtime.gopark", File: "/usr/local/go/src/runtime/proc.go", Line: 462}}
	for length := 0; length < stackBytes; {
		f := goroutine.Frame{
			Function: fmt.Sprintf("github.com/example/shop/internal/checkout/pipeline%d.(*Stage%d).process", k, len(frames)),
			File:     fmt.Sprintf("/home/build/shop/internal/checkout/pipeline%d/stage_%d.go", k, len(frames)),
			Line:     40 + len(frames),
		}
		frames = append(frames, f)
		length += len(f.Function) + len(f.File) + len("(...)\n\t:100\n")
	}
	return goroutine.NewStack(frames)
}
