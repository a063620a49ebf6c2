// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// codeIsRead is where internal/lockcode reads the code of the process.
const codeIsRead = runtime.GOARCH == "amd64"

// A stuckProgram is what a program in internal/capture/testdata/holders says: which
// goroutine holds which lock, as it knows itself, and what is seen of it.
type stuckProgram struct {
	Held   map[uint64]uint64
	Locks  []goroutine.LockQueue // of a dump
	Traced []goroutine.LockQueue // of a trace
}

// scenesStuck has what is said of each lock, most waiters first.
var scenesStuck = map[string]string{
	"circle of functions":                   "lock order",
	"circle of methods":                     "lock order",
	"circle of two types":                   "lock order",
	"circle of two methods":                 "lock order",
	"circle of closures":                    "tangled",
	"circle with a crowd":                   "lock order",
	"circle of three":                       "lock order",
	"circle of global objects":              "lock order",
	"circle of arguments":                   "lock order",
	"circle of arguments not saved":         "tangled", // a dump has no value of what the compiler saves nowhere
	"circle of receivers":                   "lock order",
	"each twice":                            "locked twice",
	"each twice, arguments not saved":       "tangled",
	"order by name":                         "locked twice",
	"order by name in two":                  "lost unlock",
	"order kept":                            "locked twice",
	"no circle of two types":                "lost unlock",
	"double lock":                           "locked twice",
	"double lock alone":                     "locked twice",
	"double lock in callback":               "locked twice",
	"over a send":                           "held while waiting",
	"over a wait group":                     "held while waiting",
	"over a receive":                        "alive",
	"over a receive in a loop":              "alive",
	"over a reply":                          "alive",
	"over a sleep":                          "alive",
	"over a deferred unlock":                "held while waiting",
	"over a call":                           "alive",
	"over another lock":                     "lost unlock",
	"left":                                  "lost unlock",
	"left beside a loop":                    "lost unlock",
	"left beside a loop alone":              "lost unlock",
	"left beside idle workers":              "lost unlock",
	"left beside one worker":                "lost unlock",
	"left beside a condition":               "lost unlock",
	"left behind an inner lock":             "lost unlock",
	"left in a shard":                       "held while waiting",
	"left in two shards":                    "held while waiting",
	"left with a shared context":            "held while waiting",
	"left beside a late request":            "lost unlock",
	"writer over a channel":                 "held while waiting",
	"writer behind a reader":                "lost unlock",
	"readers behind a writer":               "held while waiting",
	"read lock upgraded":                    "upgraded",
	"embedded":                              "held while waiting",
	"global":                                "held while waiting",
	"global object":                         "held while waiting",
	"bare mutex":                            "held while waiting",
	"lock helper":                           "held while waiting",
	"inlined methods":                       "held while waiting",
	"generic":                               "held while waiting",
	"interface":                             "held while waiting",
	"once":                                  "held while waiting",
	"once recursive":                        "locked twice",
	"recursive read":                        "recursive read",
	"recursive read in a callback":          "recursive read",
	"read lock forgotten":                   "lost unlock",
	"write lock forgotten":                  "lost unlock",
	"global forgotten":                      "lost unlock",
	"forgotten after a panic":               "lost unlock",
	"forgotten by a worker that waits":      "lost unlock",
	"global locked twice":                   "locked twice",
	"interface calls back":                  "locked twice",
	"circle of a mutex and an RWMutex":      "lock order",
	"over a wait group of workers":          "held while waiting",
	"over a result of the queue":            "held while waiting",
	"over a condition of the queue":         "held while waiting",
	"over a nil channel":                    "held while waiting",
	"purpose: sleep in a once":              "alive",
	"purpose: transaction":                  "alive",
	"purpose: release function":             "alive",
	"purpose: handed over":                  "alive",
	"purpose: handed over with defer":       "alive",
	"purpose: through sync.Locker":          "alive",
	"purpose: result of a worker":           "alive",
	"purpose: result of a timer":            "alive",
	"purpose: workers of a wait group":      "alive",
	"purpose: child process":                "alive",
	"purpose: embedded lock of others":      "alive",
	"purpose: reader that sleeps":           "alive",
	"purpose: writer that sleeps":           "alive",
	"purpose: unlock on an early return":    "alive",
	"purpose: lock in a slice":              "alive",
	"purpose: generic":                      "alive",
	"purpose: conditional lock":             "alive",
	"purpose: leader":                       "alive",
	"purpose: one of two arguments":         "alive",
	"purpose: one of two arguments, twice":  "alive",
	"purpose: one of two in an object":      "alive",
	"purpose: not on this way":              "alive",
	"purpose: empty arguments":              "alive",
	"purpose: arguments of a generic one":   "alive",
	"purpose: method value":                 "alive",
	"purpose: try lock":                     "alive",
	"purpose: two locks":                    "alive",
	"purpose: behind another lock":          "alive",
	"purpose: send or timeout":              "alive",
	"purpose: condition under another lock": "alive",
	"purpose: callback":                     "alive",
	"purpose: read of a pipe":               "alive",
	"purpose: deep stack":                   "alive",
	"purpose: loop that unlocks to wait":    "alive",
}

// TestLocksOfPrograms runs programs in which goroutines are really stuck or wait for
// a lock that is held on purpose. It compares what is said about each queue with what
// is true.
func TestLocksOfPrograms(t *testing.T) {
	if testing.Short() || !codeIsRead {
		t.Skip("builds a program, and needs its code to be read")
	}
	t.Parallel()
	program := filepath.Join(t.TempDir(), "holders.exe")
	out, err := exec.Command("go", "build", "-o", program, "../internal/capture/testdata/holders").CombinedOutput()
	require.NoError(t, err, "%s", out)
	for scene, want := range scenesStuck {
		t.Run(scene, func(t *testing.T) {
			t.Parallel()
			p := runScene(t, program, scene)
			require.NotEmpty(t, p.Locks)
			var said []string
			for i, v := range detectors.JudgeLocks(&goroutine.Snapshot{Locks: p.Locks}) {
				what := v.Kind
				if !v.Dead {
					what = "alive"
				}
				if v.Dead && strings.HasPrefix(scene, "purpose") {
					t.Errorf("a lock that is held on purpose is called a fault: %+v", p.Locks[i])
				}
				said = append(said, what)
				if holder, known := p.Held[p.Locks[i].Lock]; known && v.Sole {
					assert.Equal(t, holder, v.Holder, "the holder of %+v", p.Locks[i])
				}
				for _, h := range p.Locks[i].Holders {
					if holder, known := p.Held[p.Locks[i].Lock]; known && h.Certain && !h.Reads {
						assert.Equal(t, holder, h.ID, "certainly the holder of %+v", p.Locks[i])
					}
				}
			}
			slices.Sort(said)
			assert.Equal(t, want, strings.Join(slices.Compact(said), ", "))
			assertTraced(t, p, want)
		})
	}
}

// assertTraced checks that a trace shows the same queues to be for good as a dump.
// Without addresses it cannot tell every kind of fault from others.
func assertTraced(t *testing.T, p stuckProgram, want string) {
	t.Helper()
	if p.Traced == nil {
		t.Log("this process cannot be traced")
		return
	}
	for i, v := range detectors.JudgeLocks(&goroutine.Snapshot{Source: goroutine.SourceLocks, Locks: p.Traced}) {
		assert.Equal(t, want != "alive", v.Dead, "by a trace: %+v", p.Traced[i])
		if v.Kind == "lost unlock" || v.Kind == "recursive read" || v.Kind == "upgraded" {
			assert.Equal(t, want, v.Kind, "by a trace: %+v", p.Traced[i])
		}
	}
}

func runScene(t *testing.T, program, scene string) (p stuckProgram) {
	t.Helper()
	out, err := exec.Command(program, scene).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		require.NoError(t, err, "%s", failed.Stderr)
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &p))
	return p
}
