// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func labelledText(t testing.TB, text string, labels Labels) *goroutine.Snapshot {
	t.Helper()
	s, err := LabelledText(strings.NewReader(text), textTime, NewStacks(), labels)
	require.NoError(t, err)
	return s
}

// The two versions of Go that show labels quote them differently.
func TestLabelsOfADump(t *testing.T) {
	for _, version := range []string{"go1.26", "go1.27"} {
		t.Run(version, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "text", version, "labels.txt"))
			require.NoError(t, err)
			s := labelledText(t, string(text), Labels{All: true})
			require.Len(t, s.Labelled, 3)
			assert.Equal(t, []goroutine.Label{{Key: "plain", Value: "value"}}, s.Labelled[0].Labels)
			require.Len(t, s.Labelled[1].Labels, 2)
			assert.Equal(t, goroutine.Label{Key: "request", Value: `a]b,c}d"e\f: [select, 9 minutes]:`}, s.Labelled[1].Labels[0])
			assert.Equal(t, "ünï\uFFFDcode\n\t", s.Labelled[1].Labels[1].Value)
			assert.Equal(t, []goroutine.Label{{Key: "key with ]:{"}}, s.Labelled[2].Labels)
			for _, g := range s.Labelled {
				assert.NotZero(t, g.ID)
				assert.Equal(t, goroutine.ChanReceive, g.State)
				assert.True(t, g.Stack.Has("main.labels.func1"))
			}
			assert.Less(t, s.Labelled[0].ID, s.Labelled[1].ID)

			without := labelledText(t, string(text), Labels{Keys: []string{"plain"}})
			require.Len(t, without.Labelled, 1, "only those that were chosen")
			assert.Equal(t, []goroutine.Label{{Key: "plain", Value: "value"}}, without.Labelled[0].Labels)
			for _, g := range without.Groups {
				assert.Nil(t, g.Labels, "groups are as without labels")
			}
		})
	}
}

// A dump that shows no labels says nothing of labels.
func TestADumpWithoutLabels(t *testing.T) {
	const goroutines = "goroutine %d [select]%s:\nmain.f()\n\t/main.go:1\n\n"
	assert.Nil(t, labelledText(t, fmt.Sprintf(goroutines, 1, ""), Labels{All: true}).Labelled)
	other := labelledText(t, fmt.Sprintf(goroutines, 1, " {k: v}")+fmt.Sprintf(goroutines, 2, ""), Labels{Keys: []string{"x"}}).Labelled
	assert.NotNil(t, other, "it shows labels")
	assert.Empty(t, other)
	many := new(strings.Builder)
	for i := range goroutine.MaxLabelled + 1 {
		if i == goroutine.MaxLabelled {
			assert.Len(t, labelledText(t, many.String(), Labels{All: true}).Labelled, goroutine.MaxLabelled)
		}
		fmt.Fprintf(many, goroutines, i+1, " {k: v}")
	}
	assert.Nil(t, labelledText(t, many.String(), Labels{All: true}).Labelled, "too many to say which have none")
}

func TestLabelsOfAHeader(t *testing.T) {
	type labels = []goroutine.Label
	long := strings.Repeat("k: v, ", maxHeaderLabels)
	for header, want := range map[string]labels{
		`goroutine 1 [select]:`:                                           nil,
		`goroutine 1 [select] {}:`:                                        nil,
		`goroutine 1 [select] {a: b, c: "d e"}:`:                          {{Key: "a", Value: "b"}, {Key: "c", Value: "d e"}},
		`goroutine 1 [select] {"a b": , c: d}:`:                           {{Key: "a b"}, {Key: "c", Value: "d"}},
		`goroutine 1 gp=0x1 m=nil [select, 2 minutes labels:{"a": "b"}]:`: {{Key: "a", Value: "b"}},
		`goroutine 1 [select] {a: b, c`:                                   {{Key: "a", Value: "b"}},
		`goroutine 1 [select] {a: b, c: "d`:                               {{Key: "a", Value: "b"}},
		`goroutine 1 [select] {a: b, c: "\q"}:`:                           {{Key: "a", Value: "b"}},
		`goroutine 1 [select] {a: b, c: "\`:                               {{Key: "a", Value: "b"}},
		`goroutine 1 [select] {a}:`:                                       nil,
		`goroutine 1 [select] {`:                                          nil,
		`goroutine 1 [select] {a: b} c: d}:`:                              {{Key: "a", Value: "b"}},
	} {
		assert.Equal(t, want, labelsIn([]byte(header)), header)
	}
	assert.Len(t, labelsIn([]byte("goroutine 1 [select] {"+long+"z: z}:")), maxHeaderLabels)
}

func FuzzLabelsOfAHeader(f *testing.F) {
	f.Add(`goroutine 1 [select] {a: b, c: "d e"}:`)
	f.Add(`goroutine 1 [select labels:{"a": "b\\"}]:`)
	f.Fuzz(func(t *testing.T, line string) {
		if n := len(labelsIn([]byte(line))); n > maxHeaderLabels {
			t.Errorf("%d labels", n)
		}
	})
}

// A thousand goroutines at one place, each with a label of its own, leave room for
// others, and labels of goroutines elsewhere are not read.
func TestLabelsAtSomeStacks(t *testing.T) {
	sets := map[string]map[string]int{"main.wanted": {"": 1000}, "main.also": {"shared": 7}, "main.other": {"a": 1, "b": 1}}
	for i := range 1000 {
		sets["main.wanted"][fmt.Sprint("request ", i)] = 1
	}
	s := profileOfLabels(t, sets, Labels{Keys: []string{"request"}, At: func(id goroutine.StackID) bool {
		return id != goroutine.NewStack([]goroutine.Frame{{Function: "main.other"}}).ID
	}})
	assert.Equal(t, 2009, s.Total)
	with, without := make(map[string]int), make(map[string]int)
	for _, g := range s.Groups {
		if name := g.Stack.User().Function; len(g.Labels) > 0 {
			with[name]++
		} else {
			without[name] += g.Count
		}
	}
	assert.Equal(t, map[string]int{"main.wanted": MaxLabelSets, "main.also": 1}, with)
	assert.Equal(t, map[string]int{"main.wanted": 2000 - MaxLabelSets, "main.other": 2}, without)
}

// profileOfLabels reads a profile of so many goroutines for each function and value.
func profileOfLabels(t *testing.T, sets map[string]map[string]int, labels Labels) *goroutine.Snapshot {
	t.Helper()
	var b strings.Builder
	snapshot := &goroutine.Snapshot{}
	for function, values := range sets {
		stack := goroutine.NewStack([]goroutine.Frame{{Function: function}})
		for value, n := range values {
			g := goroutine.Group{Stack: stack, State: goroutine.Select, Count: n}
			if value != "" {
				g.Labels = []goroutine.Label{{Key: "request", Value: value}}
			}
			snapshot.Groups = append(snapshot.Groups, g)
		}
	}
	require.NoError(t, WriteProfile(&b, snapshot))
	_, err := profile.ParseData([]byte(b.String()))
	require.NoError(t, err)
	s, err := Profile([]byte(b.String()), textTime, NewStacks(), labels)
	require.NoError(t, err)
	return s
}
