// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func readDebug1(t *testing.T, labels Labels, parts ...string) *goroutine.Snapshot {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"testdata", "debug1"}, parts...)...))
	require.NoError(t, err)
	s, err := Debug1(data, textTime, NewStacks(), labels)
	require.NoError(t, err)
	return s
}

// byPlace counts goroutines by their stack and by their place on it.
func byPlace(s *goroutine.Snapshot) map[string]int {
	m := make(map[string]int)
	for _, g := range s.Groups {
		if !g.Stack.Has("main.main") {
			m[string(g.Stack.ID)+" at "+g.Stack.User().String()+" from "+g.Stack.Entry().Function] += g.Count
		}
	}
	return m
}

// TestDebug1AgreesWithTheDump reads the same process in two formats. All
// goroutines must be at the same places, and each state must be that of the dump,
// or unknown.
func TestDebug1AgreesWithTheDump(t *testing.T) {
	for _, version := range fixtureVersions {
		t.Run(version, func(t *testing.T) {
			listed := readDebug1(t, Labels{}, version, "states.txt")
			text := readText(t, filepath.Join("testdata", "text", version, "states.txt"))
			assert.Equal(t, text.Total, listed.Total)
			assert.Equal(t, byPlace(text), byPlace(listed))
			told := 0
			for function, state := range stateOfFunction {
				want := []goroutine.State{state}
				switch {
				case function == "runtime.corostart":
					continue
				case state.Category() == goroutine.CategoryChannel:
					want = []goroutine.State{goroutine.Waiting}
				default:
					told++
				}
				assert.Equal(t, want, statesAt(listed, function), function)
			}
			assert.Greater(t, told, 10)
		})
	}
}

func TestDebug1Labels(t *testing.T) {
	for _, version := range fixtureVersions {
		t.Run(version, func(t *testing.T) {
			labelsOf := func(labels Labels) (all [][]goroutine.Label) {
				for _, g := range readDebug1(t, labels, version, "labels.txt").Groups {
					if g.Stack.Has("main.labels.func1") {
						all = append(all, g.Labels)
					}
				}
				return all
			}
			assert.Equal(t, [][]goroutine.Label{nil}, labelsOf(Labels{}), "one group")
			assert.ElementsMatch(t, [][]goroutine.Label{
				{{Key: "plain", Value: "value"}},
				{{Key: "request", Value: `a]b,c}d"e\f: [select, 9 minutes]:`}, {Key: "two", Value: "ünï\uFFFDcode\n\t"}},
				{{Key: "key with ]:{"}},
			}, labelsOf(Labels{All: true}))
			assert.ElementsMatch(t, [][]goroutine.Label{nil, {{Key: "two"}}}, labelsOf(Labels{Keys: []string{"two"}, Hide: true}))
		})
	}
}

const listed = `goroutine profile: total 3
2 @ 0x1111 0x2222 0x3333
#	0x2221	internal/poll.runtime_pollWait+0x85	/go/netpoll.go:351
#	0x3332	main.read+0x11				/src dir/a:b.go:7

1 @ 0x9999 0x4444
#	0x4443	main.f+0x1	/src/f.go:9

`

func TestDebug1(t *testing.T) {
	s, err := Debug1([]byte("HTTP noise\n"+strings.ReplaceAll(listed, "\n", "\r\n")), textTime, NewStacks(), Labels{})
	require.NoError(t, err)
	assert.Equal(t, 3, s.Total)
	assert.Zero(t, s.Missing)
	assert.Equal(t, goroutine.SourceProfile, s.Source)
	assert.Equal(t, textTime, s.Time)
	assert.Equal(t, goroutine.IOWait, s.Groups[0].State)
	assert.Equal(t, []goroutine.Frame{{Function: "internal/poll.runtime_pollWait", File: "/go/netpoll.go", Line: 351}, {Function: "main.read", File: "/src dir/a:b.go", Line: 7}}, s.Groups[0].Stack.Frames)
	assert.Equal(t, goroutine.Running, s.Groups[1].State, "not at the address where the others are parked")
}

func TestDebug1Faults(t *testing.T) {
	for name, c := range map[string]struct {
		input          string
		total, missing int
		want           string
	}{
		"nothing":             {"", 0, 0, "it must have a line"},
		"another profile":     {"heap profile: 1: 2 [3: 4] @ heap/1\n", 0, 0, "it must have a line"},
		"cut at a record":     {listed[:strings.Index(listed, "1 @")], 2, 1, "it describes 2 goroutines, and its header says 3"},
		"cut in a frame":      {strings.TrimSuffix(listed, "go:9\n\n"), 2, 1, "line 7 is cut off"},
		"not a count":         {strings.Replace(listed, "1 @", "one @", 1), 2, 1, `line 6 must be a count and a stack, and is "one @`},
		"a negative count":    {strings.Replace(listed, "1 @", "-1 @", 1), 2, 1, "line 6"},
		"a frame of nonsense": {strings.Replace(listed, "0x4443", "here", 1), 2, 1, "line 7 must be a frame"},
		"bad labels":          {strings.Replace(listed, "0x4444\n", "0x4444\n# labels: {\"a\":b}\n", 1), 3, 0, "the labels in line 7 must be"},
		"an absurd total":     {strings.Replace(listed, "total 3", "total 99999999999999999999", 1), 0, 0, "it must have a line"},
		"no frames":           {"goroutine profile: total 1\n1 @\n\n", 1, 0, ""},
		"a frame alone":       {"goroutine profile: total 1\n#\t0x1\tmain.f+0x1\t/f.go:1\n1 @ 0x7\n#\t0x7\n\n", 1, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Debug1([]byte(c.input), textTime, NewStacks(), Labels{All: true})
			if c.want == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.want)
			}
			if s == nil {
				assert.Zero(t, c.total)
				return
			}
			assert.Equal(t, c.total, s.Total)
			assert.Equal(t, c.missing, s.Missing)
		})
	}
}

func FuzzDebug1(f *testing.F) {
	addFiles(f, "debug1/go1.*/*.txt")
	f.Add([]byte(listed))
	f.Add([]byte("goroutine profile: total 2\n1 @ 0x1\n# labels: {\"a\":\"b\", \"c\":\"\\xff\"}\n#\t0x1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Debug1(data, textTime, NewStacks(), Labels{All: true})
		if s == nil {
			require.Error(t, err)
			return
		}
		requireBounded(t, s)
		for _, g := range s.Groups {
			require.LessOrEqual(t, len(g.Labels), maxLabels)
		}
		requireRoundTrip(t, s, nil)
	})
}
