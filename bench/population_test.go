// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tables say how deep the stacks are and how many distinct ones there are.
func TestStacksAreWhatTheTablesSay(t *testing.T) {
	for name, want := range map[string]struct{ frames, stacks int }{
		"shallow":  {7, 6},
		"deep12":   {12, 6},
		"distinct": {12, 2000},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := shapeOf(name)
			require.NoError(t, err)
			before := runtime.NumGoroutine()
			p, err := populate(s, max(s.stacks, 100))
			require.NoError(t, err)
			defer func() {
				close(p.gate)
				for runtime.NumGoroutine() > before {
					runtime.Gosched()
				}
			}()
			distinct := make(map[[32]uintptr]bool)
			for _, r := range profileOf(t) {
				if names := functions(r.Stack()); isWalker(names) {
					distinct[r.Stack0] = true
					assert.Len(t, names, want.frames, names)
				}
			}
			assert.Len(t, distinct, want.stacks)
		})
	}
}

func isWalker(names []string) bool {
	for _, name := range names {
		if strings.HasSuffix(name, ".arrive") {
			return true
		}
	}
	return false
}

func profileOf(t *testing.T) []runtime.StackRecord {
	t.Helper()
	records := make([]runtime.StackRecord, 2*runtime.NumGoroutine()+100)
	n, ok := runtime.GoroutineProfile(records)
	require.True(t, ok)
	return records[:n]
}

func functions(pcs []uintptr) []string {
	var names []string
	for frames := runtime.CallersFrames(pcs); ; {
		f, more := frames.Next()
		if f.Function != "runtime.goexit" {
			names = append(names, f.Function)
		}
		if !more {
			return names
		}
	}
}
