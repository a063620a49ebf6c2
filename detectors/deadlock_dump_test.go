// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// lockA and lockB are addresses of locks.
const lockA, lockB = 0xc000000a00, 0xc000000b00

// dumpWith returns a goroutine dump of p with these queues.
func dumpWith(p *detectortest.Process, queues ...goroutine.LockQueue) *goroutine.Snapshot {
	was := p.Source
	p.Source = goroutine.SourceText
	defer func() { p.Source = was }()
	dump := p.Snapshot()
	dump.Locks = queues
	return dump
}

func queueFor(lock uint64, at detectortest.Place, waiters []uint64, holders ...goroutine.LockHolder) goroutine.LockQueue {
	return goroutine.LockQueue{Lock: lock, State: at.State, At: frameOf(at), Count: len(waiters), Waiters: waiters, Holders: holders}
}

func frameOf(at detectortest.Place) goroutine.Frame { return at.Stack.User() }

// holderAt returns a goroutine that waits in no queue.
func holderAt(id uint64, state goroutine.State, in string, wakers ...goroutine.LockWaker) goroutine.LockHolder {
	return goroutine.LockHolder{ID: id, State: state, At: goroutine.Frame{Function: in}, Locked: goroutine.Frame{Function: "main.(*Bank).lock"}, Queue: -1, Wakers: wakers}
}

// waiterIn returns a holder that waits in a queue itself.
func waiterIn(queue int, id uint64, at detectortest.Place) goroutine.LockHolder {
	return goroutine.LockHolder{ID: id, State: at.State, At: frameOf(at), Locked: goroutine.Frame{Function: "main.(*Bank).lock"}, Queue: queue, Certain: true}
}

// mayHold returns a holder of which it is not known that it holds the lock.
func mayHold(h goroutine.LockHolder) goroutine.LockHolder {
	h.Certain = false
	return h
}

// TestADumpShowsWhatIsForGood has a queue at debit of three, one at credit of one, and
// a goroutine elsewhere. A dump is taken after a minute.
func TestADumpShowsWhatIsForGood(t *testing.T) {
	atWork := place(goroutine.Sleep, "main.work:9")
	young := uint64(1 << 20)
	for name, tt := range map[string]struct {
		queues   func(debit, credit []uint64, other uint64) []goroutine.LockQueue
		want     detectors.Confidence
		contains string
	}{
		"lock order": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, d, waiterIn(1, c[0], atCredit)), queueFor(lockB, atCredit, c, waiterIn(0, d[0], atDebit))}
		}, detectors.High, "holds lock 0xc000000b00, locked in main.(*Bank).lock, and waits for lock 0xc000000a00 at main.(*Bank).debit (main.go:20)."},
		"locked twice": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), waiterIn(0, d[0], atDebit))}
		}, detectors.High, "Deadlock: a lock is locked twice by the same goroutine; "},
		"not unlocked": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...))}
		}, detectors.High, "A lock was not unlocked: no goroutine is left that can hold it"},
		"the only one that may hold it is younger": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(young, goroutine.Sleep, "main.work"))}
		}, detectors.High, "A lock was not unlocked"},
		"held while waiting for the queue": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(other, goroutine.ChanReceive, "main.work", goroutine.LockWaker{ID: c[0], Queue: 0}))}
		}, detectors.High, "Only goroutines that wait for the lock can end its wait (chan receive)"},
		"held while nothing is left to receive": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(other, goroutine.ChanSend, "main.work"))}
		}, detectors.High, "No goroutine is left that can end its wait (chan send)."},
		"held on a nil channel": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(other, goroutine.ChanReceiveNil, "main.work"))}
		}, detectors.High, "No goroutine is left that can end its wait"},

		"held by one that sleeps": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(other, goroutine.Sleep, "main.work"))}
		}, detectors.Medium, "holds lock 0xc000000a00, locked in main.(*Bank).lock, and is in sleep at main.work."},
		"held while a timer may send": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(other, goroutine.ChanReceive, "main.work"))}
		}, detectors.Medium, "is in chan receive at main.work."},
		"held while another works": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), holderAt(other, goroutine.ChanReceive, "main.work", goroutine.LockWaker{ID: c[0], Queue: 0}, goroutine.LockWaker{ID: 99, Queue: -1}))}
		}, detectors.Medium, "is in chan receive at main.work."},
		"held while many may send": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			h := holderAt(other, goroutine.ChanSend, "main.work")
			h.Many = true
			return []goroutine.LockQueue{queueFor(lockA, atDebit, append(d, c...), h)}
		}, detectors.Medium, "is in chan send at main.work."},
		"a circle of which one may be held by another": {func(d, c []uint64, other uint64) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(lockA, atDebit, d, waiterIn(1, c[0], atCredit)), queueFor(lockB, atCredit, c, waiterIn(0, d[0], atDebit), holderAt(other, goroutine.IOWait, "main.work"))}
		}, detectors.Medium, "goroutine"},
		"a circle of which no address is known": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			a, b := mayHold(waiterIn(0, d[0], atDebit)), mayHold(waiterIn(1, c[0], atCredit))
			return []goroutine.LockQueue{queueFor(lockA, atDebit, d, a, b), queueFor(lockB, atCredit, c, a, b)}
		}, detectors.High, "Deadlock: no goroutine that can hold the lock can go on"},
		"a circle with one address": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			a, b := waiterIn(0, d[0], atDebit), mayHold(waiterIn(1, c[0], atCredit))
			return []goroutine.LockQueue{queueFor(lockA, atDebit, d, b), queueFor(lockB, atCredit, c, a)}
		}, detectors.High, "Deadlock by lock order between 2 goroutines"},
		"what holds one lock may hold another": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			h := waiterIn(0, d[0], atDebit)
			return []goroutine.LockQueue{queueFor(lockA, atDebit, d, mayHold(h)), queueFor(lockB, atCredit, c, h)}
		}, detectors.High, "a lock is locked twice by the same goroutine, or was not unlocked by one that has moved on"},
		"not all code could be read": {func(d, c []uint64, _ uint64) []goroutine.LockQueue {
			q := queueFor(lockA, atDebit, append(d, c...))
			q.Open = true
			return []goroutine.LockQueue{q}
		}, detectors.Medium, "A lock has not been acquired for"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := detectortest.NewProcess(1)
			other := p.Go(atWork, 1)[0]
			p.Advance(5 * time.Minute)
			debit, credit := p.Go(atDebit, 3), p.Go(atCredit, 1)
			r := detectortest.NewReplay(t, newDeadlock())
			var last, first detectors.Finding
			for i := range 20 {
				p.Advance(interval)
				if i == 6 {
					r.Inspect(dumpWith(p, tt.queues(debit, credit, other)...))
				}
				found := r.Step(p.Snapshot()).Findings
				if i < 7 {
					continue
				}
				require.Len(t, found, 1)
				if last = found[0]; i == 7 {
					first = last
				}
				p.Go(atDebit, 1)
			}
			assert.Equal(t, tt.want, first.Confidence, first.Message)
			assert.Equal(t, tt.want, last.Confidence)
			assert.Equal(t, first.Identity(), last.Identity())
			assert.Contains(t, last.Message+" "+strings.Join(last.Evidence, " "), tt.contains)
			assert.NotEmpty(t, last.Advice)
			assert.True(t, last.Stands)
		})
	}
}

// TestParticipantsOfACircle has two goroutines with each other's locks, and more
// behind them.
func TestParticipantsOfACircle(t *testing.T) {
	p := detectortest.NewProcess(1)
	a, b := p.Go(atDebit, 1), p.Go(atCredit, 1)
	crowd := p.Go(atCounter, 6)
	r := detectortest.NewReplay(t, newDeadlock())
	var found []detectors.Finding
	for range 6 {
		p.Advance(interval)
		r.Inspect(dumpWith(p,
			queueFor(lockA, atCounter, append([]uint64{a[0]}, crowd...), waiterIn(1, b[0], atCredit)),
			queueFor(lockB, atCredit, b, waiterIn(0, a[0], atDebit))))
		found = r.Step(p.Snapshot()).Findings
	}
	require.Len(t, found, 1)
	f := found[0]
	assert.Equal(t, 8, f.Count)
	require.Len(t, f.Participants, 3)
	roles := map[detectors.Role][]uint64{}
	for _, of := range f.Participants {
		roles[of.Role] = append(roles[of.Role], of.IDs...)
	}
	assert.ElementsMatch(t, append(a, b...), roles[detectors.RoleCause])
	assert.Equal(t, crowd, roles[detectors.RoleWaiter])
	assert.Contains(t, f.Evidence, "In the dump 7 goroutines were waiting for lock 0xc000000a00 (sync.Mutex.Lock).")
}

// TestACircleOfUnknownAddresses has two goroutines of which each may hold either lock, so
// that it may be a lock order as well as two locks that are locked twice.
func TestACircleOfUnknownAddresses(t *testing.T) {
	p := detectortest.NewProcess(1)
	a, b := p.Go(atDebit, 1), p.Go(atCredit, 1)
	r := detectortest.NewReplay(t, newDeadlock())
	var found []detectors.Finding
	for range 6 {
		p.Advance(interval)
		one, other := mayHold(waiterIn(0, a[0], atDebit)), mayHold(waiterIn(1, b[0], atCredit))
		r.Inspect(dumpWith(p, queueFor(lockA, atDebit, a, one, other), queueFor(lockB, atCredit, b, one, other)))
		found = r.Step(p.Snapshot()).Findings
	}
	require.Len(t, found, 1)
	said := found[0].Message + " " + strings.Join(found[0].Evidence, " ")
	assert.Contains(t, said, "Goroutine 1 may hold lock 0xc000000b00, locked in main.(*Bank).lock, and waits for lock 0xc000000a00")
	assert.Contains(t, said, "Goroutine 2 may hold lock 0xc000000a00, locked in main.(*Bank).lock, and waits for lock 0xc000000b00")
	assert.NotContains(t, said, " holds lock")
	assert.NotContains(t, said, "by the same goroutine")
	assert.Contains(t, found[0].Advice, "in the same order everywhere")
}

// TestAFirstDumpIsEnough has a circle behind which thousands pile up, so that only the
// first dump, with few goroutines, is within the budget.
func TestAFirstDumpIsEnough(t *testing.T) {
	p := detectortest.NewProcess(1)
	a, b := p.Go(atDebit, 1), p.Go(atCredit, 1)
	var series []*goroutine.Snapshot
	inspections := map[goroutine.Source]*goroutine.Snapshot{}
	var found []detectors.Finding
	for range 15 {
		series = append(series, p.Snapshot())
		pass := detectors.NewPass(series)
		pass.Inspections = inspections
		pass.Report = func(f detectors.Finding) { found = append(found, f) }
		pass.Ask = func(s goroutine.Source) bool {
			if s == goroutine.SourceText && p.Snapshot().Total < 1000 {
				inspections = map[goroutine.Source]*goroutine.Snapshot{s: dumpWith(p, queueFor(lockA, atDebit, a, waiterIn(1, b[0], atCredit)), queueFor(lockB, atCredit, b, waiterIn(0, a[0], atDebit)))}
			}
			return true
		}
		found = nil
		require.NoError(t, newDeadlock().Run(pass))
		p.Advance(5 * time.Second)
		p.Go(atDebit, 200)
	}
	require.Len(t, found, 1)
	assert.Equal(t, detectors.High, found[0].Confidence, found[0].Message)
	assert.Greater(t, found[0].Count, 2000)
}

// TestADumpFromBeforeSaysNothing has a dump that is older than the queue.
func TestADumpFromBeforeSaysNothing(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Advance(interval)
	r := detectortest.NewReplay(t, newDeadlock())
	r.Step(p.Snapshot())
	ids := []uint64{1, 2, 3, 4, 5}
	r.Inspect(dumpWith(p, queueFor(lockA, atDebit, ids)))
	p.Go(atDebit, 5)
	var found []detectors.Finding
	for range 20 {
		p.Advance(interval)
		found = r.Step(p.Snapshot()).Findings
	}
	require.Len(t, found, 1)
	assert.Equal(t, detectors.Medium, found[0].Confidence)
}

// TestTwoFaults has two locks that got stuck minutes apart, which nothing connects.
func TestTwoFaults(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atDebit, 5)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 30, interval, func(i int) {
		if i == 10 {
			p.Go(atCredit, 5)
		}
	})...)
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{Function: "main.(*Bank).debit", Count: 5}, detectortest.Want{Function: "main.(*Bank).credit", Count: 5})
}

// TestDumpsAreAskedForRarely counts how often a dump is wanted while a lock is held
// for half an hour by a goroutine that goes on.
func TestDumpsAreAskedForRarely(t *testing.T) {
	p := detectortest.NewProcess(1)
	other := p.Go(place(goroutine.Sleep, "main.work:9"), 1)[0]
	debit := p.Go(atDebit, 5)
	d := newDeadlock()
	var series []*goroutine.Snapshot
	inspections := map[goroutine.Source]*goroutine.Snapshot{}
	var asked []time.Duration
	attended := 0
	for range 120 {
		p.Advance(interval)
		series = append(series, p.Snapshot())
		pass := detectors.NewPass(series)
		pass.Inspections = inspections
		pass.Attend = func() { attended++ }
		pass.Ask = func(s goroutine.Source) bool {
			if s == goroutine.SourceText {
				asked = append(asked, pass.Snapshot.Time.Sub(series[0].Time))
				inspections = map[goroutine.Source]*goroutine.Snapshot{s: dumpWith(p, queueFor(lockA, atDebit, debit, holderAt(other, goroutine.Sleep, "main.work")))}
			}
			return true
		}
		require.NoError(t, d.Run(pass))
	}
	assert.Equal(t, []time.Duration{15 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute}, asked)
	assert.Equal(t, 120, attended, "as soon as goroutines wait")
}

// TestTheHolderInTheSameReceiver has no dump, and one goroutine in a method of the
// receiver on which the others lock.
func TestTheHolderInTheSameReceiver(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.IOWait, "runtime.gopark", "net.read:1", "main.(*Bank).audit:70"), 1)
	p.Go(detectortest.At(goroutine.IOWait, "runtime.gopark", "net.read:1", "main.(*Client).get:8"), 1)
	p.Advance(time.Minute)
	p.Go(atDebit, 5)
	steps := detectortest.Run(t, newDeadlock(), detectortest.Series(p, 12, interval, nil)...)
	detectortest.Compare(t, lastFindings(steps), detectortest.Want{Confidence: detectors.Medium,
		Contains: "It may be held by goroutine 1, which has been in a call on the same receiver since before: in IO wait at main.(*Bank).audit (main.go:70)."})
}

// TestTheHolderInAProof has no dump, and a leak proof of the waiters and of a goroutine
// that is older. Its twins are proofs that tell nothing of the holder.
func TestTheHolderInAProof(t *testing.T) {
	holder := detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.(*Log).flush:30", "main.writeBack:9")
	young := detectortest.At(goroutine.ChanSend, "runtime.gopark", "main.late:3")
	for name, tc := range map[string]struct {
		proven []detectortest.Place
		n      int           // goroutines at holder
		ago    time.Duration // of the proof, before the last snapshot
		want   string
	}{
		"the holder":           {[]detectortest.Place{atDebit, holder}, 1, 15 * time.Second, "main.(*Log).flush"},
		"and a younger one":    {[]detectortest.Place{atDebit, holder, young}, 1, 15 * time.Second, "main.(*Log).flush"},
		"not the waiters":      {[]detectortest.Place{holder}, 1, 15 * time.Second, ""},
		"only the waiters":     {[]detectortest.Place{atDebit}, 1, 15 * time.Second, ""},
		"one of several":       {[]detectortest.Place{atDebit, holder}, 2, 15 * time.Second, ""},
		"from before the lock": {[]detectortest.Place{atDebit, holder}, 1, time.Hour, ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := detectortest.NewProcess(1)
			p.Go(holder, tc.n)
			p.Advance(time.Minute)
			p.Go(atDebit, 5)
			r := detectortest.NewReplay(t, newDeadlock())
			var found []detectors.Finding
			for i := range 12 {
				p.Advance(interval)
				if i == 2 {
					p.Go(young, 1)
				}
				s := p.Snapshot()
				proof := &goroutine.Snapshot{Time: s.Time.Add(-tc.ago), Source: goroutine.SourceProof}
				for _, at := range tc.proven {
					proof.Groups = append(proof.Groups, goroutine.Group{Stack: at.Stack, Count: 1})
				}
				r.Inspect(proof)
				found = r.Step(s).Findings
			}
			if tc.want == "" {
				detectortest.Compare(t, found, detectortest.Want{Function: "main.(*Bank).debit", Count: 5})
				assert.Empty(t, found[0].Participants)
				return
			}
			assert.Len(t, found, 1)
			assert.Equal(t, detectors.RoleHolder, found[0].Participants[0].Role)
			assert.Equal(t, tc.want, found[0].Participants[0].Stack.User().Function)
		})
	}
}
