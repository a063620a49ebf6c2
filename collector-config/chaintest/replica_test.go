// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A replica is a patient in a process of its own: this test binary, started
// again. Its faults end on command.
type replica struct {
	cmd    *exec.Cmd
	orders io.WriteCloser // its standard input
	output *strings.Builder
}

// patientVariable holds the patientConfig of a replica, in JSON.
const patientVariable = "CHAINTEST_PATIENT"

// startReplica starts a replica that runs until the end of the test.
func startReplica(t *testing.T, c patientConfig) *replica {
	t.Helper()
	program, err := os.Executable()
	require.NoError(t, err)
	config, err := json.Marshal(c)
	require.NoError(t, err)
	r := &replica{cmd: exec.Command(program), output: new(strings.Builder)}
	r.cmd.Env = append(os.Environ(), patientVariable+"="+string(config))
	r.cmd.Stdout, r.cmd.Stderr = r.output, r.output
	r.orders, err = r.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() {
		_ = r.orders.Close() // fails if the process has already ended; Wait reports that
		assert.NoError(t, r.cmd.Wait(), "%s", r.output)
	})
	return r
}

// cure ends the faults of the replica.
func (r *replica) cure(t *testing.T) {
	t.Helper()
	_, err := fmt.Fprintln(r.orders, "cure")
	require.NoError(t, err)
}

func isPatient() bool { return os.Getenv(patientVariable) != "" }

// runPatient is the main function of a replica's process. It returns the exit
// status.
func runPatient() int {
	if err := servePatient(os.Getenv(patientVariable), os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// servePatient runs until orders ends. The first order cures the patient.
func servePatient(config string, orders io.Reader) error {
	var c patientConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return err
	}
	p, err := newPatient(context.Background(), c)
	if err != nil {
		return err
	}
	cure := startFaults(c)
	for lines := bufio.NewScanner(orders); lines.Scan(); {
		cure()
	}
	cure()
	return p.shutdown()
}

// startFaults starts the faults and returns a function that ends them.
func startFaults(c patientConfig) (cure func()) {
	var cures []func()
	if c.Jam {
		cures = append(cures, newJam(wayA, 20).clear)
	}
	if c.Leak {
		cures = append(cures, startLeak())
	}
	return func() {
		for _, end := range cures {
			end()
		}
	}
}

// leakEvery is the interval at which a leak leaves another goroutine behind.
const leakEvery = 200 * time.Millisecond

// startLeak starts a goroutine that leaves others behind. It returns a function
// that ends all of them.
func startLeak() (cure func()) {
	ended := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(leakEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				running.Go(func() { forgotten(ended) })
			case <-ended:
				return
			}
		}
	})
	return sync.OnceFunc(func() {
		close(ended)
		running.Wait()
	})
}

// forgotten is where the goroutines of a leak wait.
//
//go:noinline
func forgotten(c chan struct{}) { <-c }
