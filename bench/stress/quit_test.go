// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package stress

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/internal/parse"
)

// TestQuit proves that SIGQUIT does to a service with a monitor what it does to
// any other, at whatever moment of a snapshot it comes: it ends with status 2 and
// a dump of all goroutines, which our own parser reads to the last one.
func TestQuit(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("there is no SIGQUIT")
	}
	for _, wait := range some(0, 7*time.Millisecond, 130*time.Millisecond) {
		t.Run("after "+wait.String(), func(t *testing.T) {
			require.NoError(t, lane.Acquire(t.Context(), 1))
			defer lane.Release(1)
			var stderr bytes.Buffer
			cmd, err := lab.Command(t.Context(), "", order{Scenario: "quit", Size: standing}, "GOTRACEBACK=all")
			require.NoError(t, err)
			cmd.Stderr = &stderr
			stdout, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			ready, err := bufio.NewReader(stdout).ReadString('\n')
			assert.NoError(t, err)
			assert.Equal(t, "ready\n", ready)
			time.Sleep(wait)
			require.NoError(t, cmd.Process.Signal(syscall.SIGQUIT))
			assert.Error(t, cmd.Wait())
			assert.Equal(t, 2, cmd.ProcessState.ExitCode())

			assert.True(t, bytes.HasPrefix(stderr.Bytes(), []byte("SIGQUIT: quit\n")))
			s, err := parse.Text(&stderr, time.Now(), parse.NewStacks(), nil)
			require.NoError(t, err)
			there := 0
			for i := range s.Groups {
				if s.Groups[i].Stack.Has("github.com/otelgoroutine/go/bench/stress.stand") {
					there += s.Groups[i].Count
				}
			}
			assert.Equal(t, standing, there)
			assert.Zero(t, s.Missing)
		})
	}
}

// quit is watched until it is ended.
func quit(c *child) {
	gather(c.Size, stand)
	c.start("")
	c.snapshots(3)
	fmt.Fprintln(os.Stdout, "ready")
	time.Sleep(patience)
	panic("there was no signal")
}
