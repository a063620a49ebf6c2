// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"hash/fnv"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

var headerLine = regexp.MustCompile(`(?m)^goroutine (\d+) (.*)\[([^],\n]*)(, \d+ minutes)?(.*)\]:$`)

// waiting returns a dump in which goroutines have waited for some time, as they would have
// in a process that is idle at night, but for those for which busy reports true.
func waiting(dump, minutes string, busy func(id string) bool) string {
	return headerLine.ReplaceAllStringFunc(dump, func(line string) string {
		m := headerLine.FindStringSubmatch(line)
		if busy(m[1]) || strings.HasPrefix(m[3], "run") {
			return line
		}
		return fmt.Sprintf("goroutine %s %s[%s, %s minutes%s]:", m[1], m[2], m[3], minutes, m[5])
	})
}

// A way is how long goroutines of a sound program are made to wait.
type way struct {
	name, minutes string
	oneIn         uint64
}

var ways = []way{{"all for 40 minutes", "40", 1}, {"all for three days", "4320", 1}, {"a third for 40 minutes", "40", 3}, {"one in eight for two hours", "120", 8}}

// inFlight are the goroutines of a dump that do not wait for long in a sound process: they
// wait for a lock or for an answer, work on a request or hand over a value.
func inFlight(t *testing.T, dump string) map[string]bool {
	t.Helper()
	_, details := snapshotOf(t, dump)
	ids := make(map[string]bool)
	for _, g := range details.Goroutines {
		e := detectors.Explain(g.Stack, g.State)
		work := e.Request && g.State != goroutine.Select && g.State != goroutine.IOWait && g.State != goroutine.ChanReceive
		generates := g.Stack.User().Function == "github.com/otelgoroutine/go/bench/detection/corpus.generateIDs"
		if g.State.Lock() || work || e.Waits != "" && e.Bounded || g.State == goroutine.ChanSend && !generates {
			ids[fmt.Sprint(g.ID)] = true
		}
	}
	return ids
}

// oneOf returns what is false for one in n IDs.
func oneOf(n uint64) func(id string) bool {
	return func(id string) bool {
		h := fnv.New64a()
		h.Write([]byte(id))
		return h.Sum64()%n != 0
	}
}

// Sound programs give no finding, and no finding above information if they have been idle
// for days. A lock that is
// held on purpose for minutes may be warned about.
func TestSoundPrograms(t *testing.T) {
	for _, file := range []string{"sound", "servers"} {
		dumps, names := sections(t, file)
		require.NotEmpty(t, names)
		for _, name := range names {
			assert.Empty(t, diagnose(t, dumps[name]), name)
			busy := inFlight(t, dumps[name])
			for _, w := range ways {
				quiet(t, name+", "+w.name, waiting(dumps[name], w.minutes, func(id string) bool { return busy[id] || oneOf(w.oneIn)(id) }))
			}
		}
	}
}

func quiet(t *testing.T, name, dump string) {
	t.Helper()
	for _, f := range diagnose(t, dump) {
		if f.Confidence > detectors.Info && !(f.Detector == nameLock && strings.HasPrefix(name, "purpose-") && f.Confidence <= detectors.Suspected) {
			assert.Fail(t, "an alarm about a sound program", "%s: %s (%v)", name, f.Message, f.Confidence)
		}
	}
}
