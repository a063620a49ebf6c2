package capture

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/parse"
)

// A truth is which locks the program in testdata/holders knows to be held, and
// what its goroutine dump suggests.
type truth struct {
	Held  map[uint64]uint64
	Locks []parse.Lock
}

// holdersOf runs one scene of a program in testdata/holders.
func holdersOf(t *testing.T, program, scene string) (v truth) {
	t.Helper()
	out, err := exec.Command(program, scene).Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		require.NoError(t, err, "%s: %s", scene, failed.Stderr)
	}
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(out, &v))
	return v
}

func buildHolders(t *testing.T, args ...string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("builds a program")
	}
	program := filepath.Join(t.TempDir(), "holders.exe")
	out, err := exec.Command("go", append(append([]string{"build"}, args...), "-o", program, "./testdata/holders")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return program
}

// What a dump may say about one lock.
const (
	silent = "silent" // nothing
	none   = "none"   // no other goroutine works on the object
	lead   = "lead"   // one goroutine works on it
	many   = "many"   // several do
	named  = "named"
	twice  = "named as having locked it twice"
	circle = "circle"
	maybe  = "perhaps a circle"
)

// said returns what was reported about a lock, and whether it is true.
func said(l *parse.Lock, v *truth) (what string, right bool) {
	held := func(lock, goroutine uint64) bool { id, ok := v.Held[lock]; return ok && id == goroutine }
	switch {
	case l.Circle != nil:
		right = true
		for _, link := range l.Circle {
			right = right && held(link.Has, link.Goroutine)
		}
		if l.Sure {
			return circle, right
		}
		return maybe, right
	case l.Holder != nil && l.Holder.Waits:
		return twice, held(l.Address, l.Holder.ID)
	case l.Holder != nil:
		return named, held(l.Address, l.Holder.ID)
	case !l.Object:
		return silent, true
	case l.Others == 0:
		return none, true
	case l.Others == 1:
		return lead, held(l.Address, l.Example.ID)
	}
	return many, true
}

// scenes has what is reported about each lock, most waiters first, when the
// compiler optimizes and arguments are passed in registers. A ✗ marks a report
// that is not true.
var scenes = map[string]string{
	"circle of functions":      "circle, circle",
	"circle of methods":        "circle, circle",
	"circle of two types":      "silent, silent",
	"circle of two methods":    "perhaps a circle, perhaps a circle",
	"circle of closures":       "silent, silent",
	"circle with a crowd":      "circle, circle",
	"circle of three":          "circle, circle, circle",
	"circle of global objects": "circle, circle",
	"order by name":            "lead, lead ✗",
	"order by name in two":     "lead, lead ✗",
	"order kept":               "lead, many",
	"no circle of two types":   "silent, silent",

	"double lock":             "named as having locked it twice",
	"double lock alone":       "silent",
	"double lock in callback": "named as having locked it twice",

	"over a send":              "named",
	"over a wait group":        "silent",
	"over a receive":           "named",
	"over a receive in a loop": "named",
	"over a reply":             "silent",
	"over a sleep":             "named",
	"over a deferred unlock":   "named",
	"over a call":              "named",
	"over another lock":        "named, many",

	"left":                       "silent",
	"left beside a loop":         "silent",
	"left beside a loop alone":   "silent",
	"left beside idle workers":   "many",
	"left beside one worker":     "lead ✗",
	"left beside a condition":    "none",
	"left behind an inner lock":  "silent",
	"left in a shard":            "named ✗", // see docs/DESIGN.md: locks in an array are taken for one lock
	"left in two shards":         "silent, silent",
	"left with a shared context": "lead ✗",
	"left beside a late request": "lead ✗",

	"writer over a channel":   "many",
	"writer behind a reader":  "named",
	"readers behind a writer": "",
	"read lock upgraded":      "",

	"embedded":        "named",
	"global":          "silent",
	"global object":   "named",
	"bare mutex":      "named",
	"lock helper":     "silent",
	"inlined methods": "silent",
	"generic":         "silent",
	"interface":       "named",
	"once":            "lead ✗",
	"once recursive":  "none",
}

// inRegisters reports whether calls pass arguments in registers. When arguments
// are passed on the stack, a dump shows different ones.
const inRegisters = runtime.GOARCH != "386"

// TestLockHolders runs programs that really are stuck.
func TestLockHolders(t *testing.T) {
	for name, args := range map[string][]string{"optimized": nil, "not optimized": {"-gcflags=all=-N -l"}} {
		t.Run(name, func(t *testing.T) {
			program := buildHolders(t, args...)
			tally := make(map[string]int)
			for scene, want := range scenes {
				v := holdersOf(t, program, scene)
				var all []string
				for i := range v.Locks {
					what, right := said(&v.Locks[i], &v)
					if !right {
						what += " ✗"
					}
					all = append(all, what)
					tally[what]++
					requireLocksOnly(t, &v.Locks[i], &v)
				}
				got := strings.Join(all, ", ")
				switch {
				case args == nil && inRegisters:
					assert.Equal(t, want, got, scene)
				case args == nil && strings.Contains(want, "named ✗"): // it does not get better, either
				default:
					assert.NotContains(t, got, "named ✗", scene)
					assert.NotContains(t, got, "twice ✗", scene)
				}
				assert.NotContains(t, all, circle+" ✗", scene)
			}
			t.Log(tally)
		})
	}
}

// requireLocksOnly checks that the only addresses returned are those of locks.
func requireLocksOnly(t *testing.T, l *parse.Lock, v *truth) {
	t.Helper()
	known := make(map[uint64]bool)
	for _, l := range v.Locks {
		known[l.Address] = true
	}
	for _, link := range l.Circle {
		require.True(t, known[link.Has] && known[link.Wants])
	}
	require.NotContains(t, fmt.Sprint(l.Holder, l.Example), "0x")
}
