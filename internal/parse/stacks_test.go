// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

func TestStacksShareAndForget(t *testing.T) {
	frames := func(line int) []goroutine.Frame {
		return []goroutine.Frame{{Function: "main.f", File: "f.go", Line: line}, {Function: "main.main", File: "f.go", Line: 1}}
	}
	s := NewStacks()
	s.next()
	one := s.Intern(frames(1))
	assert.Same(t, one, s.Intern(frames(1)))
	assert.NotSame(t, one, s.Intern(frames(2)), "another line is another stack")
	assert.Equal(t, one.ID, s.Intern(frames(2)).ID, "with the same ID")
	s.next()
	assert.Same(t, one, s.Intern(frames(1)), "of the last snapshot")
	s.next()
	s.next()
	assert.NotSame(t, one, s.Intern(frames(1)), "forgotten")
}

func TestStacksCopyFrames(t *testing.T) {
	s := NewStacks()
	frames := []goroutine.Frame{{Function: "main.f"}}
	kept := s.Intern(frames)
	frames[0].Function = "main.g"
	assert.Equal(t, "main.f", kept.Frames[0].Function)
}

// The hash must depend on where one name ends and the next begins.
func TestStacksTellNamesApart(t *testing.T) {
	s := NewStacks()
	a := s.Intern([]goroutine.Frame{{Function: "ab", File: "c"}})
	b := s.Intern([]goroutine.Frame{{Function: "a", File: "bc"}})
	assert.NotSame(t, a, b)
	assert.Equal(t, "a", b.Frames[0].Function)
	assert.Equal(t, "ab", s.Intern([]goroutine.Frame{{Function: "ab", File: "c"}}).Frames[0].Function)
}

func TestStacksAreBoundedByTwoSnapshots(t *testing.T) {
	s := NewStacks()
	for n := range 100 {
		s.next()
		for i := range 50 {
			s.Intern([]goroutine.Frame{{Function: "f" + strconv.Itoa(n*50+i)}})
		}
		assert.Len(t, s.current, 50)
		assert.LessOrEqual(t, len(s.past), 50)
	}
}
