// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

type account struct {
	name string
	mu   sync.Mutex
}

//go:noinline
func (a *account) send(b *account, met *sync.WaitGroup) {
	a.mu.Lock()
	met.Done()
	met.Wait()
	b.mu.Lock()
	b.name = a.name
	b.mu.Unlock()
	a.mu.Unlock()
}

// TestADeadlockTellsItsCycle deadlocks for good, in a process of its own.
func TestADeadlockTellsItsCycle(t *testing.T) {
	const inside = "OTELGOROUTINE_TEST_HOLDER"
	if os.Getenv(inside) == "" {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		child.Env = append(os.Environ(), inside+"=1")
		out, err := child.CombinedOutput()
		require.NoError(t, err, string(out))
		return
	}
	a, b := &account{name: "a"}, &account{name: "b"}
	var met sync.WaitGroup
	met.Add(2)
	go a.send(b, &met)
	go b.send(a, &met)
	m, err := otelgoroutine.Start(sdkmetric.NewMeterProvider(), otelgoroutine.WithInterval(otelgoroutine.MinInterval), otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second}),
		otelgoroutine.WithDetectors(detectors.NewDeadlock(detectors.DeadlockConfig{MinWait: time.Second, MinSnapshots: 3, MaxChance: 0.5})))
	require.NoError(t, err)
	var said string
	require.Eventually(t, func() bool { // a dump that a busy machine refuses is tried again a minute later
		for _, f := range m.Findings() {
			said = f.Message + "\n" + strings.Join(f.Evidence, "\n")
		}
		return strings.Contains(said, "They were created by")
	}, 5*time.Minute, 50*time.Millisecond)
	assert.Contains(t, said, "They were created by github.com/otelgoroutine/go/otelgoroutine_test.TestADeadlockTellsItsCycle (deadlock_test.go:")
	if runtime.GOARCH == "amd64" { // where the code of functions is read
		assert.Contains(t, said, "Deadlock by lock order between 2 goroutines")
		assert.Equal(t, 2, strings.Count(said, "locked in github.com/otelgoroutine/go/otelgoroutine_test.(*account).send, and waits for lock 0x"))
	}
	addresses := make(map[string]bool)
	for _, address := range regexp.MustCompile("0x[0-9a-f]+").FindAllString(said, -1) {
		addresses[address] = true
	}
	assert.Len(t, addresses, 2, "those of the locks")
	assert.NotEmpty(t, m.Findings()[0].Advice)
	assert.NoError(t, m.Shutdown(t.Context()))
	if !t.Failed() {
		os.Exit(0) // past the check for goroutines that were left behind
	}
}
