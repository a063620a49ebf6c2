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

// Places of goroutines that hold a lock and want another one.
var (
	inDebit  = place(goroutine.MutexLock, "main.(*Bank).transfer:30")
	inCredit = place(goroutine.MutexLock, "main.(*Bank).refund:40")
)

// traceWith returns a trace of p with these queues for locks.
func traceWith(p *detectortest.Process, queues ...goroutine.LockQueue) *goroutine.Snapshot {
	s := p.Snapshot()
	s.Source, s.Locks = goroutine.SourceLocks, queues
	return s
}

// holdersAt returns goroutines with the same stack that wait in a queue, or in none, and
// may hold the lock of another.
func holdersAt(queue int, at detectortest.Place, ids ...uint64) goroutine.LockHolder {
	return goroutine.LockHolder{ID: ids[0], Count: len(ids), State: at.State, At: frameOf(at), Locked: goroutine.Frame{Function: "main.(*Bank).lock"}, Queue: queue}
}

// A bank has two goroutines that hold a lock each and want the other, one more in debit, and
// others that keep coming to credit.
type bank struct {
	debit, credit, first, second []uint64
	worker, late                 uint64 // elsewhere; late is about to come to credit
}

// TestATraceShowsWhatIsForGood takes a trace after a minute. Thousands of goroutines
// make dumps impossible.
func TestATraceShowsWhatIsForGood(t *testing.T) {
	young := uint64(1 << 20)
	youngOne := holdersAt(-1, place(goroutine.Sleep, "main.work:9"), young) // it holds the lock of one that has only now come
	circle := func(b *bank, more ...goroutine.LockHolder) []goroutine.LockQueue {
		return []goroutine.LockQueue{
			queueFor(0, inDebit, b.first, holdersAt(1, inCredit, b.second...)),
			queueFor(0, inCredit, b.second, append(more, holdersAt(0, inDebit, b.first...))...),
			queueFor(0, atCredit, b.credit, append(more, holdersAt(0, inDebit, b.first...))...),
		}
	}
	for name, tt := range map[string]struct {
		queues   func(b *bank) []goroutine.LockQueue
		want     detectors.Confidence
		contains string
	}{
		"lock order": {func(b *bank) []goroutine.LockQueue { return circle(b) }, detectors.High,
			"Deadlock by lock order between 2 goroutines; "},
		"it has no addresses": {func(b *bank) []goroutine.LockQueue { return circle(b) }, detectors.High,
			"holds a lock wanted at main.(*Bank).refund (main.go:40), locked in main.(*Bank).lock, and waits for a lock at main.(*Bank).transfer (main.go:30)."},
		"another that may hold it is younger": {func(b *bank) []goroutine.LockQueue {
			return circle(b, goroutine.LockHolder{ID: young, Count: 1, State: goroutine.Running, Queue: -1})
		}, detectors.High, "lock order"},
		"locked twice": {func(b *bank) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(0, inDebit, b.first, holdersAt(0, inDebit, b.first...)), queueFor(0, atCredit, b.credit, holdersAt(0, inDebit, b.first...))}
		}, detectors.High, "a lock is locked twice by the same goroutine, or was not unlocked by one that has moved on"},
		"several at one call": {func(b *bank) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(0, atDebit, b.debit, holdersAt(0, atDebit, b.debit...)), queueFor(0, atCredit, b.credit, holdersAt(0, atDebit, b.debit...))}
		}, detectors.High, "Each of 3 goroutines, one of them 3, may hold a lock wanted at main.(*Bank).debit (main.go:20), locked in main.(*Bank).lock, and waits for a lock at main.(*Bank).debit (main.go:20)."},
		"several kinds of holders": {func(b *bank) []goroutine.LockQueue {
			q := queueFor(0, inDebit, append(b.first, b.second...), holdersAt(0, inDebit, b.first...), holdersAt(0, inCredit, b.second...))
			return []goroutine.LockQueue{q}
		}, detectors.High, "no goroutine that can hold the lock can go on (lock order, a lock locked twice, or one that was not unlocked)"},
		"all at one call, and others keep coming": {func(b *bank) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(0, atCredit, b.credit, holdersAt(0, atCredit, b.credit...))}
		}, detectors.High, "no goroutine that can hold the lock can go on"},
		"not unlocked": {func(b *bank) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(0, atDebit, b.debit)}
		}, detectors.High, "A lock was not unlocked"},

		"a goroutine is running": {func(b *bank) []goroutine.LockQueue {
			return circle(b, goroutine.LockHolder{ID: b.worker, Count: 1, State: goroutine.Running, Queue: -1})
		}, detectors.Medium, "A lock has not been acquired for"},
		"nothing but a running one may hold it": {func(b *bank) []goroutine.LockQueue {
			return []goroutine.LockQueue{queueFor(0, atDebit, b.debit, goroutine.LockHolder{ID: b.worker, Count: 1, State: goroutine.Running, Queue: -1})}
		}, detectors.Medium, "1 goroutine may hold it, one of them goroutine 1, running in"},
		"a holder has only now come to the queue": {func(b *bank) []goroutine.LockQueue {
			h := holdersAt(1, atCredit, b.late)
			return []goroutine.LockQueue{queueFor(0, atDebit, b.debit, h), queueFor(0, atCredit, b.credit, h, youngOne)}
		}, detectors.Medium, "1 goroutine may hold it, one of them goroutine 2, in sync.Mutex.Lock at main.(*Bank).credit"},
		"a receiver has only now come to the queue": {func(b *bank) []goroutine.LockQueue {
			sends := holdersAt(-1, place(goroutine.ChanSend, "main.work:9"), b.worker)
			sends.Wakers = []goroutine.LockWaker{{ID: b.late, Queue: 1}}
			return []goroutine.LockQueue{queueFor(0, atDebit, b.debit, sends), queueFor(0, atCredit, b.credit, sends, youngOne)}
		}, detectors.Medium, "holds a lock wanted at main.(*Bank).debit (main.go:20), locked in main.(*Bank).lock, and is in chan send at main.work (main.go:9)."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := detectortest.NewProcess(1)
			elsewhere := p.Go(place(goroutine.Sleep, "main.work:9"), 2)
			b := &bank{worker: elsewhere[0], late: elsewhere[1]}
			p.Advance(5 * time.Minute)
			b.debit, b.first, b.second, b.credit = p.Go(atDebit, 3), p.Go(inDebit, 1), p.Go(inCredit, 1), p.Go(atCredit, 2)
			r := detectortest.NewReplay(t, newDeadlock())
			var last detectors.Finding
			for i := range 20 {
				p.Advance(interval)
				if i == 5 {
					p.Move(atCredit, b.late)
				}
				b.credit = append(b.credit, p.Go(atCredit, 1)...)
				s := p.Snapshot()
				if i == 6 {
					r.Inspect(traceWith(p, tt.queues(b)...))
				}
				found := r.Step(s).Findings
				if i < 6 {
					continue
				}
				require.Len(t, found, 1)
				last = found[0]
				if i == 6 {
					assert.Equal(t, tt.want, last.Confidence, last.Message)
				}
			}
			text := last.Message + " " + strings.Join(last.Evidence, " ")
			assert.Equal(t, tt.want, last.Confidence, text)
			assert.Contains(t, text, tt.contains)
			assert.NotContains(t, text, "0x")
			assert.NotContains(t, text, "dump")
		})
	}
}

// TestADumpComesBeforeATrace has both.
func TestADumpComesBeforeATrace(t *testing.T) {
	p := detectortest.NewProcess(1)
	a, b := p.Go(atDebit, 1), p.Go(atCredit, 1)
	r := detectortest.NewReplay(t, newDeadlock())
	var found []detectors.Finding
	for range 8 {
		p.Advance(interval)
		r.Inspect(dumpWith(p, queueFor(lockA, atDebit, a, waiterIn(1, b[0], atCredit)), queueFor(lockB, atCredit, b, waiterIn(0, a[0], atDebit))))
		r.Inspect(traceWith(p, queueFor(0, atDebit, a, holdersAt(1, atCredit, b...)), queueFor(0, atCredit, b, holdersAt(0, atDebit, a...))))
		found = r.Step(p.Snapshot()).Findings
	}
	require.Len(t, found, 1)
	assert.Contains(t, strings.Join(found[0].Evidence, " "), "holds lock 0xc000000a00")
}

// TestTracesAreAskedForUntilOneTells counts traces while a goroutine that may hold the
// lock runs in each of them, and after one in which it did not.
func TestTracesAreAskedForUntilOneTells(t *testing.T) {
	p := detectortest.NewProcess(1)
	worker := p.Go(place(goroutine.Sleep, "main.work:9"), 1)[0]
	debit := p.Go(atDebit, 5)
	var series []*goroutine.Snapshot
	inspections := map[goroutine.Source]*goroutine.Snapshot{}
	var asked []time.Duration
	for range 40 {
		p.Advance(interval)
		series = append(series, p.Snapshot())
		pass := detectors.NewPass(series)
		pass.Inspections = inspections
		pass.Ask = func(s goroutine.Source) bool {
			if s != goroutine.SourceLocks {
				return false
			}
			asked = append(asked, pass.Snapshot.Time.Sub(series[0].Time))
			runs := goroutine.LockHolder{ID: worker, Count: 1, State: goroutine.Running, Queue: -1}
			q := queueFor(0, atDebit, debit, runs)
			if asked[len(asked)-1] >= 4*time.Minute {
				q.Holders = nil
			}
			inspections = map[goroutine.Source]*goroutine.Snapshot{s: traceWith(p, q)}
			return true
		}
		require.NoError(t, newDeadlock().Run(pass))
	}
	const s = time.Second
	assert.Equal(t, []time.Duration{60 * s, 75 * s, 90 * s, 105 * s, 120 * s, 150 * s, 180 * s, 210 * s, 240 * s}, asked)
}
