// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// started returns the command as a process of its own, which ends with the test
// at the latest.
func started(t *testing.T, args ...string) (c *exec.Cmd, stderr *bytes.Buffer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	c = exec.CommandContext(ctx, os.Args[0], args...)
	c.Env = append(os.Environ(), beTheCommand+"=1")
	stderr = &bytes.Buffer{}
	c.Stderr = stderr
	return c, stderr
}

// A waiting command waits for something that never comes.
type waiting struct {
	args  []string
	ready func(stdin io.Writer) // returns once the command waits, or is about to
}

// fifo makes a named pipe.
func fifo(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(name, 0o600))
	return name
}

// opened returns a function that waits until a named pipe is opened to be read.
func opened(t *testing.T, name string) func(io.Writer) {
	return func(io.Writer) {
		w, err := os.OpenFile(name, os.O_WRONLY, 0)
		require.NoError(t, err)
		t.Cleanup(func() { w.Close() })
	}
}

// TestSignalsEndEveryRead sends SIGINT and SIGTERM to commands that wait.
func TestSignalsEndEveryRead(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T) waiting{
		"standard input": func(t *testing.T) waiting {
			return waiting{args: []string{"report", "-"}, ready: func(stdin io.Writer) {
				io.WriteString(stdin, strings.Repeat("a line of a log\n", 20_000)) // more than a pipe holds
			}}
		},
		"a pipe without a writer": func(t *testing.T) waiting {
			url, served := serveOnce(t)
			return waiting{args: []string{"diff", url, fifo(t)}, ready: func(io.Writer) { <-served }}
		},
		"a pipe with an idle writer": func(t *testing.T) waiting {
			name := fifo(t)
			return waiting{args: []string{"report", name}, ready: opened(t, name)}
		},
		"a file with headers": func(t *testing.T) waiting {
			name := fifo(t)
			return waiting{args: []string{"report", "--header", "@" + name, "localhost:1"}, ready: opened(t, name)}
		},
		"a file with stacks": func(t *testing.T) waiting {
			name := fifo(t)
			return waiting{args: []string{"report", "--known-stacks", name, "localhost:1"}, ready: opened(t, name)}
		},
		"a file with certificates": func(t *testing.T) waiting {
			name := fifo(t)
			return waiting{args: []string{"report", "--ca", name, "https://localhost:1"}, ready: opened(t, name)}
		},
		"a response": func(t *testing.T) waiting {
			asked := make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				io.WriteString(w, "goroutine 1 [running]:\n")
				w.(http.Flusher).Flush()
				close(asked)
				<-r.Context().Done()
			}))
			t.Cleanup(s.Close)
			return waiting{args: []string{"report", "--endpoint", "dump", s.URL}, ready: func(io.Writer) { <-asked }}
		},
		"the next sample": func(t *testing.T) waiting {
			url, served := serveOnce(t)
			return waiting{args: []string{"report", "--endpoint", "profile", "--samples", "2", "--every", "1h", url}, ready: func(io.Writer) { <-served }}
		},
		"kubectl": func(t *testing.T) waiting {
			told := withKubectl(t, "silent")
			return waiting{args: []string{"check", "pod/shop:6060"}, ready: func(io.Writer) {
				require.Eventually(t, func() bool { return len(told()) > 0 }, 2*time.Minute, 10*time.Millisecond)
			}}
		},
	} {
		for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(name+", "+signal.String(), func(t *testing.T) {
				w := prepare(t)
				c, stderr := started(t, w.args...)
				stdin, err := c.StdinPipe()
				require.NoError(t, err)
				require.NoError(t, c.Start())
				w.ready(stdin)
				require.NoError(t, c.Process.Signal(signal))
				c.Wait() // the state says more
				assert.Equal(t, statusBad, c.ProcessState.ExitCode(), "%v", c.ProcessState)
				assert.True(t, strings.HasSuffix("\n"+stderr.String(), "\ngoroutines: interrupted\n"), stderr.String())
			})
		}
	}
}

// serveOnce serves a profile. The channel is closed after the first response.
func serveOnce(t *testing.T) (url string, served chan struct{}) {
	served = make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/trace") {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, "goroutine profile: total 1\n1 @ 0x1\n#\t0x1\tmain.main+0x1\t/src/main.go:1\n\n")
		close(served)
	}))
	t.Cleanup(s.Close)
	return s.URL, served
}

// TestTheSecondSignalKills uses a command that cannot end, since it writes into a
// pipe that nothing reads.
func TestTheSecondSignalKills(t *testing.T) {
	dump := filepath.Join(t.TempDir(), "dump")
	require.NoError(t, os.WriteFile(dump, []byte("goroutine 1 [running]:\nmain.main()\n\t/src/main.go:1\n"), 0o600))
	c, _ := started(t, "report", dump)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	defer w.Close()
	fill(t, w)
	c.Stdout = w
	require.NoError(t, c.Start())
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	for {
		select {
		case err := <-done:
			var exit *exec.ExitError
			require.True(t, errors.As(err, &exit), "%v", err)
			status := exit.Sys().(syscall.WaitStatus)
			assert.Equal(t, syscall.SIGINT, status.Signal(), "%v", exit)
			return
		case <-time.After(50 * time.Millisecond):
			c.Process.Signal(syscall.SIGINT)
		}
	}
}

// fill writes into a pipe until it is full.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	require.NoError(t, w.SetWriteDeadline(time.Now().Add(100*time.Millisecond)))
	for {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		}
	}
}
