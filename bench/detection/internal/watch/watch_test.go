// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package watch

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// TestAFindingHasTheFramesOfItsEvent holds both ways in which a finding is read.
func TestAFindingHasTheFramesOfItsEvent(t *testing.T) {
	stack := &goroutine.Stack{Frames: []goroutine.Frame{
		{Function: "x.(*pool).take", File: "/x/pool.go", Line: 7},
		{Function: "x.list[...].func1"},
		{Function: "main.main", File: "/x/main.go", Line: 1},
	}}
	f := From(&detectors.Finding{Stack: stack, ID: "1", Message: "It stands.", Evidence: []string{"Since long."}, Advice: "Close it.", Confidence: detectors.High})
	want := []string{"x.(*pool).take", "x.list[...].func1", "main.main"}
	assert.Equal(t, want, f.Frames)
	assert.Equal(t, want, framesOf(stack.Text(longestTrace)))
	assert.Equal(t, "It stands.\nSince long.\nClose it.", f.Text)
	assert.True(t, f.IsError())
	assert.Empty(t, framesOf("...\n"))
}

func TestConfidencesAreInOrder(t *testing.T) {
	medium, unknown := Finding{Confidence: "medium"}, Finding{}
	assert.True(t, medium.AtLeast("info"))
	assert.True(t, medium.AtLeast("medium"))
	assert.False(t, medium.AtLeast("high"))
	assert.False(t, medium.IsError())
	assert.False(t, unknown.AtLeast("info"))
}
