// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
)

func TestTheCorpusIsWhatItsTypesSay(t *testing.T) {
	name := regexp.MustCompile(`^[a-z][a-z0-9-]*$`)
	known := make(map[string]bool)
	for _, d := range detectors.Default() {
		known[d.Name] = true
	}
	seen := make(map[string]bool)
	for _, s := range All() {
		assert.Regexp(t, name, s.Name)
		assert.False(t, seen[s.Name], "two are called %s", s.Name)
		seen[s.Name] = true
		assert.Contains(t, Classes(), s.Class, s.Name)
		assert.Regexp(t, `^[A-Z].*\.$`, s.Doc, "%s is described in a sentence", s.Name)
		assert.NotNil(t, s.Run, s.Name)
		assert.Equal(t, s.Faulty, len(s.Expect) > 0, "%s: just faults are expected to be found", s.Name)
		assert.True(t, s.Faulty || s.Beyond == "" && !s.Proof, s.Name)
		for _, x := range s.Expect {
			assert.True(t, known[x.Detector], "%s expects detector %q", s.Name, x.Detector)
			assert.NotEmpty(t, x.Function, s.Name)
		}
		found, ok := Find(s.Name)
		assert.True(t, ok)
		assert.Equal(t, s.Doc, found.Doc)
	}
}

// TestTruth holds which programs there are and what is true of them: results of
// before and after a change are of the same corpus.
func TestTruth(t *testing.T) {
	var b strings.Builder
	faulty := 0
	for _, s := range All() {
		fmt.Fprintf(&b, "%s\t%s\t%s\n", s.Name, s.Class, told(&s))
		if s.Faulty {
			faulty++
		}
	}
	want, err := os.ReadFile("testdata/truth.tsv")
	require.NoError(t, err)
	assert.Equal(t, string(want), b.String())
	assert.Equal(t, 84+30+26, faulty)
	assert.Len(t, All(), 84+118+2*30+8+18+4+2*26)
}

// told is what may be found of a program, and how often it must be true.
func told(s *Scenario) string {
	switch {
	case s.Warns:
		return "sound, may warn"
	case s.Main:
		return "sound, on main"
	case !s.Faulty && s.Grows != nil:
		return "sound, grows, " + s.Grows.Confidence
	case !s.Faulty:
		return "sound"
	}
	var all []string
	for _, x := range s.Expect {
		all = append(all, fmt.Sprintf("%s at %s, %d", x.Detector, x.Function, x.Least))
	}
	text := "faulty: " + strings.Join(all, "; ")
	if s.Beyond != "" {
		text += fmt.Sprintf("; beyond watching, provable: %v", s.Proof)
	}
	if s.Soon != "" {
		text += "; soon, " + s.Soon
	}
	if s.Grows != nil {
		text += fmt.Sprintf("; grows, %s within %v", s.Grows.Confidence, s.Grows.Within)
	}
	return text
}

func TestRootsAreNamed(t *testing.T) {
	s := Scenario{Roots: roots("`(*pool).take`; \"database/sql\" + \"rows\"")}
	for text, want := range map[string]bool{
		"It waits in corpus.(*pool).take (pool.go:7).": true,
		"(*pool).take":                              true,
		"corpus.(*pool).takeAll":                    false,
		"A database/sql pool: are all rows closed?": true,
		"A database/sql pool has run out.":          false,
		"corpus.take":                               false,
	} {
		assert.Equal(t, want, s.Names(text), text)
	}
	assert.False(t, new(Scenario).Names("corpus.take"))
}

// TestHangsHaveRootsAndTwins holds what the class is for.
func TestHangsHaveRootsAndTwins(t *testing.T) {
	faulty, sound := 0, 0
	for _, s := range All() {
		switch {
		case s.Class != "hang":
			assert.True(t, s.Soon == "" || len(s.Roots) > 0, s.Name)
		case s.Faulty:
			faulty++
			assert.Equal(t, "medium", s.Soon, s.Name)
			assert.NotEmpty(t, s.Roots, s.Name)
			_, ok := Find(s.Name + "-sound")
			assert.True(t, ok, s.Name)
		default:
			sound++
		}
	}
	assert.Equal(t, len(hangs)+len(libraryHangs), faulty)
	assert.Equal(t, faulty, sound)
	assert.GreaterOrEqual(t, 2*len(libraryHangs), faulty, "half of them are libraries")
}

// TestGrowthHasVerdictsAndTwins holds what the classes are for: each fault has a
// twin of the same code, and a time; what is alive has none.
func TestGrowthHasVerdictsAndTwins(t *testing.T) {
	for _, p := range slices.Concat(connections, timed, orphans) {
		faulty, ok := Find(p.faulty)
		require.True(t, ok, p.faulty)
		require.NotNil(t, faulty.Grows, p.faulty)
		assert.Contains(t, []string{"info", "medium"}, faulty.Grows.Confidence, p.faulty)
		assert.Positive(t, faulty.Grows.Within, p.faulty)
		assert.NotEmpty(t, faulty.Roots, p.faulty)
		twin, ok := Find(p.sound)
		assert.True(t, ok && !twin.Faulty && twin.Grows == nil, p.sound)
		assert.Equal(t, faulty.Class, twin.Class)
	}
	for _, p := range living {
		s, ok := Find(p.sound)
		assert.True(t, ok && !s.Faulty && p.faulty == "", p.sound)
		require.NotNil(t, s.Grows, p.sound)
		assert.Equal(t, Growth{Confidence: "info"}, *s.Grows, p.sound)
	}
	assert.Equal(t, &Growth{"medium", 25 * time.Minute}, growth("medium, 25 min"))
	assert.Panics(t, func() { growth("medium, soon") })
}

// TestEveryFaultHasAHealthyTwin holds for all classes that have faults.
func TestEveryFaultHasAHealthyTwin(t *testing.T) {
	for _, c := range Classes() {
		of := slices.DeleteFunc(All(), func(s Scenario) bool { return s.Class != c })
		assert.NotEmpty(t, of, c)
		faulty := slices.ContainsFunc(of, func(s Scenario) bool { return s.Faulty })
		sound := slices.ContainsFunc(of, func(s Scenario) bool { return !s.Faulty })
		assert.True(t, sound || !faulty, "%s has no sound program", c)
	}
}

// TestAFaultIsToldByTheFaultyTwinOnly holds the switch that twins share.
func TestAFaultIsToldByTheFaultyTwinOnly(t *testing.T) {
	twins := read("## x\n| a | leak at `f`, 5 | A. |\n| b | sound | B. |\n", []program{{func(e *Env) {
		e.Served()
		assert.Equal(t, !e.sound, e.Fails())
	}, "a", "b"}})
	for _, s := range twins {
		e := NewEnv(1)
		s.Run(e)
		served, faults, _ := e.Told()
		assert.EqualValues(t, 1, served)
		assert.Equal(t, s.Faulty, faults == 1, s.Name)
	}
	require.Len(t, twins, 2)
	assert.Equal(t, []Expectation{{"leak", "f", 5}}, twins[0].Expect)
}

// TestEveryProgramIsInTheDocument finds code that has no row.
func TestEveryProgramIsInTheDocument(t *testing.T) {
	for _, p := range code {
		for _, name := range []string{p.faulty, p.sound} {
			_, ok := Find(name)
			assert.True(t, ok || name == "", name)
		}
	}
}

func TestWithin(t *testing.T) {
	for function, in := range map[string]bool{
		"example.com/x/corpus.fetch":                     true,
		"example.com/x/corpus.fetch.func1":               true,
		"example.com/x/corpus.fetch[...].func1":          true,
		"example.com/x/corpus.prefetch":                  false,
		"example.com/x/corpus.fetchAll":                  false,
		"example.com/x/corpus.run.fetch.func2":           true,
		"example.com/x/corpus.(*cache).fetch.gowrap1":    true,
		"example.com/x/corpus.(*cache).get":              false,
		"example.com/x/corpus.serve.func1.fetch.2.func3": true,
	} {
		assert.Equal(t, in, Within(function, "fetch"), function)
	}
	assert.True(t, Within("example.com/corpus.(*cache).get", "(*cache).get"))
	assert.False(t, Within("example.com/corpus.(*scache).get", "(*cache).get"))
}
