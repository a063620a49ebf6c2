// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectortest

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

func TestWhatCannotBeTrueIsRefused(t *testing.T) {
	sound := func() *detectors.Finding {
		return &detectors.Finding{
			Message: "3 goroutines at main.f-1 wait for 20 s.", Evidence: []string{"10 s ago there was 1."}, Advice: "See.", Count: 3, IDs: []uint64{1, 2, 3},
			Participants: []detectors.Participant{{Role: detectors.RoleCause, Stack: &goroutine.Stack{}, Count: 1, IDs: []uint64{1}, Note: "waits"}},
		}
	}
	assert.NoError(t, checkTexts(sound()))
	for want, spoil := range map[string]func(f *detectors.Finding){
		"full stop":            func(f *detectors.Finding) { f.Message = "Something" },
		`"-0 s ago`:            func(f *detectors.Finding) { f.Evidence = []string{"-0 s ago there were 2."} },
		`"Proved 0 s ago."`:    func(f *detectors.Finding) { f.Evidence = []string{"Proved 0 s ago."} },
		`"Stands for 0 s."`:    func(f *detectors.Finding) { f.Message = "Stands for 0 s." },
		`"It grew by -3."`:     func(f *detectors.Finding) { f.Advice = "It grew by -3." },
		"the age is -1s":       func(f *detectors.Finding) { f.Age = -time.Second },
		"the growth is NaN":    func(f *detectors.Finding) { f.GrowthPerMinute = math.NaN() },
		"the growth is -1":     func(f *detectors.Finding) { f.GrowthPerMinute = -1 },
		"3 IDs of 2":           func(f *detectors.Finding) { f.Count = 2 },
		`the role ""`:          func(f *detectors.Finding) { f.Participants[0].Role = "" },
		"no stack":             func(f *detectors.Finding) { f.Participants[0].Stack = nil },
		`the note "waits."`:    func(f *detectors.Finding) { f.Participants[0].Note = "waits." },
		`the note "for -1 s"`:  func(f *detectors.Finding) { f.Participants[0].Note = "for -1 s" },
		"there are 9 particip": func(f *detectors.Finding) { f.Participants = make([]detectors.Participant, 9) },
	} {
		f := sound()
		spoil(f)
		assert.ErrorContains(t, checkTexts(f), want)
	}
}
