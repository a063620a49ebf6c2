// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// slowly reports reading one MiB of an input every tenth of a second.
func slowly(p *progress, name string, tenths int) {
	for i := range tenths {
		p.tell(name, int64(i)<<20, false)
		time.Sleep(100 * time.Millisecond)
	}
	p.tell(name, int64(tenths)<<20, true)
}

const clearLine = "\r\x1b[K"

func TestProgressInALog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := newProgress(&out)
		slowly(p, "quick", 9)
		assert.Empty(t, out.String(), "what takes less than a second is not shown")
		slowly(p, "slow", 115)
		assert.Equal(t, "goroutines: reading slow: 10.0 MiB, 1s\ngoroutines: reading slow: 60.0 MiB, 6s\ngoroutines: reading slow: 110.0 MiB, 11s\n", out.String())
		out.Reset()
		slowly(p, "next", 15)
		assert.Equal(t, "goroutines: reading next: 10.0 MiB, 1s\n", out.String(), "each input has its own time")
	})
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		p := &progress{w: &out, terminal: true, width: func() int { return columnsOf(&out) }}
		slowly(p, "slow", 15)
		lines := strings.Split(out.String(), clearLine)
		assert.Equal(t, []string{
			"", "goroutines: reading slow: 10.0 MiB, 1s", "goroutines: reading slow: 12.0 MiB, 1.2s", "goroutines: reading slow: 14.0 MiB, 1.4s", "",
		}, lines, "one line that is overwritten, and gone in the end")
		assert.NotContains(t, out.String(), "\n")
		p.clear()
		assert.True(t, strings.HasSuffix(out.String(), "1.4s"+clearLine), "cleared once")
	})
}

// A line that wraps could not be overwritten.
func TestProgressFitsTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		name := "http://checkout-7d9f8c6b5-x2x4k.shop.svc.cluster.local:6060/debug/pprof/goroutine"
		for width := 1; width < 160; width++ {
			var out strings.Builder
			p := &progress{w: &out, terminal: true, width: func() int { return width }}
			slowly(p, name, 15)
			for _, line := range strings.Split(out.String(), clearLine) {
				assert.Less(t, ansi.StringWidth(line), max(2, width), line)
			}
			if width >= 52 {
				assert.Contains(t, out.String(), ": 10.0 MiB, 1s"+clearLine)
			}
		}
	})
}

func TestIsTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer f.Close()
	assert.False(t, isTerminal(f))
	assert.False(t, isTerminal(&strings.Builder{}))
	assert.False(t, isTerminal(nil))
}
