// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// beAProcess is the variable that makes the test binary a process that serves
// net/http/pprof at the address in it.
const beAProcess = "GOROUTINERECEIVER_TEST_PROCESS"

func init() {
	if address := os.Getenv(beAProcess); address != "" {
		serveProfiles(address)
	}
}

// serveProfiles is a faulty program: ten goroutines wait for a lock that is never
// released, and one for nothing.
func serveProfiles(address string) {
	var mu sync.Mutex
	mu.Lock()
	for range 10 {
		go stuckOnALock(&mu)
	}
	go stuckForever()
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	go func() { // ends with the test
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	_ = http.Serve(l, nil)
	os.Exit(1)
}

func stuckOnALock(mu *sync.Mutex) {
	mu.Lock()
	defer mu.Unlock()
}

func stuckForever() { select {} }

// A process is another process that serves net/http/pprof.
type process struct {
	address string
	end     func()
}

// startProcess starts a process at an address, which may have the port 0.
func startProcess(t *testing.T, address string) *process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), beAProcess+"="+address)
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	require.NoError(t, err)
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	p := &process{end: sync.OnceFunc(func() {
		_ = in.Close()
		_ = c.Wait()
	})}
	t.Cleanup(p.end)
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	p.address = strings.TrimSpace(line)
	_, _, err = net.SplitHostPort(p.address)
	require.NoError(t, err, line)
	return p
}

// patient is how long a test waits for what must come.
const patient = 2 * time.Minute
