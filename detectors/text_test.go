// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

func TestWhere(t *testing.T) {
	for want, frames := range map[string][]goroutine.Frame{
		"an unknown place":      nil,
		"main.f (f.go:3)":       {{Function: "runtime.gopark", File: "/go/proc.go", Line: 1}, {Function: "main.f", File: "/src/f.go", Line: 3}},
		"main.f":                {{Function: "main.f"}},
		"net.dial (dial.go:9)":  {{Function: "net.dial", File: "/go/net/dial.go", Line: 9}},
		"example.com/p.(*T).Do": {{Function: "example.com/p.(*T).Do"}},
	} {
		assert.Equal(t, want, where(goroutine.NewStack(frames)))
	}
}

// TestFindingsOfOneIdentityBecomeOne also fills the evidence beyond its bound.
func TestFindingsOfOneIdentityBecomeOne(t *testing.T) {
	var m findings
	for n := range 20 {
		frames := []goroutine.Frame{{Function: "main.f", File: "f.go", Line: n}}
		m = append(m, Finding{Stack: goroutine.NewStack(frames), Count: n + 1, Age: time.Duration(n), IDs: []uint64{uint64(100 - n)}})
	}
	var got []Finding
	m.report(&Pass{Report: func(f Finding) { got = append(got, f) }})
	assert.Len(t, got, 1)
	assert.Equal(t, 20*21/2, got[0].Count)
	assert.Equal(t, 19, got[0].Stack.User().Line)
	assert.Equal(t, time.Duration(19), got[0].Age)
	assert.Equal(t, []uint64{81, 82, 83, 84, 85, 86, 87, 88, 89, 90}, got[0].IDs)
	assert.LessOrEqual(t, len(got[0].Evidence), MaxEvidence)
}
