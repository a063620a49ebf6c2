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
)

var headerLine = regexp.MustCompile(`(?m)^goroutine (\d+) (.*)\[([^],\n]*)(, \d+ minutes)?(.*)\]:$`)

// waiting returns a dump in which goroutines have waited for some time, as they would have
// in a process that is idle at night. Of which ones, keep decides by ID. Goroutines that
// wait for a lock are left as they are: no sound program that is idle has any.
func waiting(dump, minutes string, keep func(id string) bool) string {
	return headerLine.ReplaceAllStringFunc(dump, func(line string) string {
		m := headerLine.FindStringSubmatch(line)
		state := m[3]
		if keep(m[1]) || strings.HasPrefix(state, "sync.Mutex") || strings.HasPrefix(state, "sync.RWMutex") || strings.HasPrefix(state, "run") {
			return line
		}
		return fmt.Sprintf("goroutine %s %s[%s, %s minutes%s]:", m[1], m[2], state, minutes, m[5])
	})
}

// ways are how long goroutines of a sound program are made to wait.
var ways = map[string]func(dump string) string{
	"as it is":                   func(d string) string { return d },
	"all for 40 minutes":         func(d string) string { return waiting(d, "40", func(string) bool { return false }) },
	"all for three days":         func(d string) string { return waiting(d, "4320", func(string) bool { return false }) },
	"a third for 40 minutes":     func(d string) string { return waiting(d, "40", oneOf(3)) },
	"one in eight for two hours": func(d string) string { return waiting(d, "120", oneOf(8)) },
}

// oneOf returns what is false for one in n IDs.
func oneOf(n uint64) func(id string) bool {
	return func(id string) bool {
		h := fnv.New64a()
		h.Write([]byte(id))
		return h.Sum64()%n != 0
	}
}

// Sound programs, busy or idle for days, give no finding above information.
func TestSoundPrograms(t *testing.T) {
	for _, file := range []string{"sound"} {
		dumps, names := sections(t, file)
		require.NotEmpty(t, names)
		for _, name := range names {
			for way, change := range ways {
				for _, f := range diagnose(t, change(dumps[name])) {
					if f.Confidence > detectors.Info {
						assert.Fail(t, "an alarm about a sound program", "%s, %s: %s (%v)", name, way, f.Message, f.Confidence)
					}
				}
			}
		}
	}
}
