// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// TestClockJumps has the times of snapshots leap by hours, both ways. Those of
// a monitor do not, since they have monotonic readings; saved ones may. Detectors
// must fail at nothing, and whatever they find has an age that can be.
func TestClockJumps(t *testing.T) {
	p := detectortest.NewProcess(4)
	p.Go(detectortest.At(goroutine.ChanReceiveNil, "main.lost", "main.run"), 1)
	p.Go(detectortest.At(goroutine.MutexLock, "main.stuck", "main.run"), 20)
	all := detectors.Default()
	e := engine.New(engine.Config{Detectors: all})
	var jumped time.Duration
	found := make(map[string]int)
	refused := 0
	for i := range 600 {
		p.Go(detectortest.At(goroutine.ChanSend, fmt.Sprintf("main.leak%d", i%3), "main.serve"), 1)
		p.Advance(30 * time.Second)
		switch i % 100 {
		case 25:
			jumped += 3 * time.Hour
		case 75:
			jumped -= 4 * time.Hour
		}
		s := p.Snapshot()
		s.Time = s.Time.Add(jumped).Round(0)
		r := e.Step(s)
		if r.Verdicts == nil {
			refused++
		}
		for _, v := range r.Verdicts {
			require.NoError(t, v.Err)
		}
		for _, f := range r.Findings {
			found[f.Detector]++
			assert.GreaterOrEqual(t, f.Age, time.Duration(0), f.Message)
			assert.False(t, math.IsNaN(f.GrowthPerMinute) || math.IsInf(f.GrowthPerMinute, 0), f.Message)
		}
	}
	assert.Positive(t, refused, "snapshots while the clock catches up")
	for _, name := range []string{"blocked_forever", "deadlock"} {
		assert.Positive(t, found[name], name)
	}
}
