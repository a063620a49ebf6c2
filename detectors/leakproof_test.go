// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/engine"
)

// forgotten and worker cannot be told apart by watching.
var (
	forgotten = detectortest.At(goroutine.ChanSend, "main.(*Server).query", "main.handle")
	worker    = detectortest.At(goroutine.ChanReceive, "main.(*Pool).work")
	mainWaits = detectortest.At(goroutine.ChanReceive, "main.main")
)

// proofOf makes a proof of the groups of a snapshot at places in a state.
func proofOf(s *goroutine.Snapshot, state goroutine.State) *goroutine.Snapshot {
	proof := &goroutine.Snapshot{Time: s.Time, Source: goroutine.SourceProof}
	for _, g := range s.Groups {
		if g.State == state {
			proof.Groups = append(proof.Groups, goroutine.Group{Stack: g.Stack, State: g.State, Count: g.Count})
			proof.Total += g.Count
		}
	}
	return proof
}

// asks returns whether the leak detector asks for a proof after a series.
func asks(t *testing.T, d *detectors.Detector, series []*goroutine.Snapshot, closer ...*goroutine.Snapshot) bool {
	t.Helper()
	var i askedFor
	e := engine.New(engine.Config{Detectors: []*detectors.Detector{d}, Inspector: &i})
	last := len(series) - 1
	e.Remember(series[:last]...)
	for _, s := range closer {
		e.Inspected(s)
	}
	v := e.Step(series[last]).Verdicts[0]
	require.NoError(t, v.Err)
	require.True(t, v.Ran)
	return slices.Contains(i, goroutine.SourceProof)
}

// askedFor is an inspector that only notes what it is asked for.
type askedFor []goroutine.Source

func (a *askedFor) Expect(goroutine.Source) bool { return false }
func (a *askedFor) Inspect(kind goroutine.Source, _ *goroutine.Snapshot) *engine.Inspection {
	*a = append(*a, kind)
	return nil
}

func TestAProvenLeakNeedsNotGrow(t *testing.T) {
	p := detectortest.NewProcess(2)
	p.Go(forgotten, 1)
	p.Go(worker, 8)
	p.Go(mainWaits, 1)
	series := detectortest.Series(p, 300, 15*time.Second, nil)
	d := newLeak()

	silent := detectortest.Findings(detectortest.Run(t, d, series...))
	assert.Empty(t, silent, "without a proof it cannot be known")

	r := detectortest.NewReplay(t, d)
	r.Step(series[0])
	r.Inspect(proofOf(series[0], goroutine.ChanSend))
	found := r.Step(series[1]).Findings
	detectortest.Compare(t, found, detectortest.Want{
		Function: "main.(*Server).query", State: goroutine.ChanSend, Confidence: detectors.Confirmed, Count: 1, Contains: "nothing in the program can ever wake it",
	})

	assert.Contains(t, found[0].Evidence, "The runtime proved 15 s ago that nothing alive refers to what it waits for.")
	r.Inspect(proofOf(series[2], goroutine.ChanSend)) // a moment after the snapshot that asked for it
	found = r.Step(series[2]).Findings
	require.Len(t, found, 1)
	assert.Contains(t, found[0].Evidence, "The runtime has just proved that nothing alive refers to what it waits for.")

	assert.Zero(t, found[0].Age, "for how long it has been so is not known")
	proof := proofOf(series[3], goroutine.ChanSend)
	proof.Time = proof.Time.Add(-3600 * time.Microsecond)
	r.Inspect(proof)
	assert.Zero(t, r.Step(series[3]).Findings[0].Age, "nor by the time between the two captures")

	r = detectortest.NewReplay(t, d)
	r.Step(series[0])
	both := proofOf(series[0], goroutine.ChanReceive) // the workers' pool was dropped, and main waits for good
	r.Inspect(both)
	detectortest.Compare(t, r.Step(series[1]).Findings, detectortest.Want{Function: "main.(*Pool).work", Count: 8})
}

func TestAProofIsAskedForWhenAGoroutineStands(t *testing.T) {
	d := newLeak()
	series := func(n int, do func(p *detectortest.Process)) []*goroutine.Snapshot {
		p := detectortest.NewProcess(2)
		p.Go(mainWaits, 1)
		return detectortest.Series(p, n, 15*time.Second, func(i int) {
			if i == 0 {
				do(p)
			}
		})
	}
	stood := series(4*60+2, func(p *detectortest.Process) { p.Go(forgotten, 1) })
	last := stood[len(stood)-1]
	assert.False(t, asks(t, d, stood[:4*50]), "not for an hour yet")
	assert.True(t, asks(t, d, stood))
	assert.False(t, asks(t, d, stood, &goroutine.Snapshot{Time: last.Time.Add(-time.Minute), Source: goroutine.SourceProof}), "there has just been one")
	assert.True(t, asks(t, d, stood, &goroutine.Snapshot{Time: last.Time.Add(-61 * time.Minute), Source: goroutine.SourceProof}), "long ago")
	assert.False(t, asks(t, d, stood, proofOf(stood[0], goroutine.ChanSend)), "nothing is left to prove")
	assert.False(t, asks(t, d, series(4*60+2, func(*detectortest.Process) {})), "main may wait")
	assert.False(t, asks(t, d, series(4*60+2, func(p *detectortest.Process) {
		p.Go(detectortest.At(goroutine.IOWait, "main.read"), 5)
	})), "IO is never leaked")
}

// TestAProofOfWhatWaitsByDesign has a pool that nothing refers to any more:
// that it waits by design is no excuse then. A server's connection belongs to
// its client.
func TestAProofOfWhatWaitsByDesign(t *testing.T) {
	p := detectortest.NewProcess(2)
	p.Go(atOpener, 1)
	p.Go(atServed, 1)
	series := detectortest.Series(p, 2, 15*time.Second, nil)
	r := detectortest.NewReplay(t, newLeak())
	r.Step(series[0])
	r.Inspect(proofOf(series[0], goroutine.Select))
	detectortest.Compare(t, r.Step(series[1]).Findings, detectortest.Want{Confidence: detectors.Confirmed, Count: 1, Contains: "connectionOpener"})
}
