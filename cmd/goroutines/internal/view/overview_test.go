// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package view

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/observe"
)

// four returns processes in four conditions, one with a long name.
func four() []observe.Status {
	ok, blind := leaking(), leaking()
	ok.Name, ok.Open = "http://10.0.0.1:6060/debug/pprof/", nil
	blind.Name, blind.Open = "http://checkout-7d9f8c6b5-x2x4k.shop.svc.cluster.local:6060/debug/pprof/", nil
	blind.Sight = away(blind.Sight, detectors.ReasonNoIDs, 2)
	blind.NoTrace = "its traces have the format of go 1.22"
	gone := observe.Status{Name: "http://10.0.0.9:6060/debug/pprof/", Err: errors.New("connection refused"), Since: now.Add(-2 * time.Minute), Points: []observe.Point{{Failed: true}}}
	return []observe.Status{ok, leaking(), blind, gone}
}

var conditions = []string{"ok", "3 findings", "cannot judge 2 of 3", "cannot be reached"}

// The state of each process is whole at any width, and its name keeps both ends.
func TestStatesAreNeverCut(t *testing.T) {
	for width := 30; width <= 160; width++ {
		lines := plain(screen(four()...), width, 40)
		for i, want := range conditions {
			assert.True(t, strings.HasSuffix(lines[2+i], "  "+want), "%d columns: %q", width, lines[2+i])
		}
		assert.Regexp(t, `^  ch.*060  `, lines[4])
		assert.Contains(t, lines[0], "3 findings", width)
	}
}

func TestOverviews(t *testing.T) {
	for _, width := range []int{40, 60, 80, 120} {
		golden(t, fmt.Sprintf("four-%d", width), plain(screen(four()...), width, 30))
	}
}

// Of many processes, those around the selected one are shown.
func TestManyProcesses(t *testing.T) {
	s := Screen{Interval: time.Second, Now: now}
	for i := range 100 {
		status := four()[0]
		status.Name = fmt.Sprintf("http://host-%03d:1/debug/pprof/", i)
		s.Targets = append(s.Targets, status)
	}
	for selected, want := range map[int][]string{0: {"> host-000:1", "host-009:1"}, 50: {"host-045:1", "> host-050:1"}, 99: {"host-090:1", "> host-099:1"}} {
		s.Selected = selected
		text := strings.Join(plain(s, 100, 20), "\n")
		for _, name := range want {
			assert.Contains(t, text, name)
		}
		assert.Equal(t, 11, strings.Count(text, "host-"), "half the screen, and the name of the one that is shown")
	}
}

func TestFitMiddle(t *testing.T) {
	for _, c := range []struct {
		s     string
		width int
		want  string
	}{
		{"host:6060", 9, "host:6060"}, {"host:6060", 8, "hos…6060"}, {"host:6060", 3, "h…0"}, {"host:6060", 2, "ho"}, {"", 0, ""},
		{"世界世界世界", 7, "世…界"},
	} {
		got := FitMiddle(c.s, c.width)
		assert.LessOrEqual(t, ansi.StringWidth(got), c.width)
		if c.width != 7 {
			assert.Equal(t, c.want, got)
		}
	}
}

func TestOldest(t *testing.T) {
	s := &goroutine.Snapshot{Time: now, Epochs: []goroutine.Epoch{{LastID: 10, End: now.Add(-time.Hour)}, {LastID: 20, End: now.Add(-time.Minute)}, {LastID: 30, End: now}}}
	of := func(epoch int, wait time.Duration) string {
		return oldest(s, &goroutine.Group{Wait: wait, Births: []goroutine.Cohort{{Epoch: epoch, Count: 1}}})
	}
	assert.Equal(t, "≥1h00", of(0, 0), "it was there before the first snapshot")
	assert.Equal(t, "≥9d", of(0, 9*24*time.Hour), "the runtime says more")
	assert.Equal(t, "1m00", of(1, 0))
	assert.Empty(t, of(2, 0), "it is new")
	assert.Equal(t, "≥12m00", oldest(&goroutine.Snapshot{Time: now}, &goroutine.Group{Wait: 12 * time.Minute}))
	first := &goroutine.Snapshot{Time: now, Epochs: s.Epochs[2:]}
	assert.Empty(t, oldest(first, &goroutine.Group{Births: []goroutine.Cohort{{Count: 1}}}), "nothing is known yet")
}

func TestWorstColour(t *testing.T) {
	s := leaking()
	assert.Contains(t, conditionOf(&s, now).String(), red.Render("3 findings"))
	s.Open = s.Open[2:]
	assert.Equal(t, green.Render("1 finding"), conditionOf(&s, now).String(), "for information")
	s.Open, s.Sight.Detectors[0].Candidates = nil, []detectors.Candidate{{Stack: group(1, goroutine.Select, 0, "main.f").Stack, Count: 3}}
	assert.Equal(t, "1 suspected", ansi.Strip(conditionOf(&s, now).String()))
	s.Err = errors.New("cut off") // but not failed
	assert.Equal(t, "1 suspected", ansi.Strip(conditionOf(&s, now).String()))
}

func TestFailingExport(t *testing.T) {
	s := screen(leaking())
	s.Failing = "connection refused"
	assert.Equal(t, "  --otlp localhost:4317: connection refused", plain(s, 120, 40)[1])
}
