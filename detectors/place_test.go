package detectors

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", 75 * time.Second: "75 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 95 * time.Minute: "95 min",
		150 * time.Minute: "2.5 h", 36 * time.Hour: "36.0 h", 72 * time.Hour: "3 days",
	} {
		assert.Equal(t, want, span(d))
	}
}

func TestWhere(t *testing.T) {
	for want, frames := range map[string][]goroutine.Frame{
		"an unknown place":      nil,
		"main.f (f.go:3)":       {{Function: "runtime.gopark", File: "/go/proc.go", Line: 1}, {Function: "main.f", File: "/src/f.go", Line: 3}},
		"main.f":                {{Function: "main.f"}},
		"net.dial (dial.go:9)":  {{Function: "net.dial", File: "/go/net/dial.go", Line: 9}},
		"example.com/p.(*T).Do": {{Function: "example.com/p.(*T).Do"}},
	} {
		assert.Equal(t, want, where(goroutine.NewStack(frames)))
	}
}

// TestFindingsOfOneIdentityBecomeOne also fills the evidence beyond its bound.
func TestFindingsOfOneIdentityBecomeOne(t *testing.T) {
	var m findings
	for n := range 20 {
		frames := []goroutine.Frame{{Function: "main.f", File: "f.go", Line: n}}
		m = append(m, Finding{Stack: goroutine.NewStack(frames), Count: n + 1, Age: time.Duration(n), IDs: []uint64{uint64(100 - n)}})
	}
	var got []Finding
	m.report(&Pass{Report: func(f Finding) { got = append(got, f) }})
	assert.Len(t, got, 1)
	assert.Equal(t, 20*21/2, got[0].Count)
	assert.Equal(t, 19, got[0].Stack.User().Line)
	assert.Equal(t, time.Duration(19), got[0].Age)
	assert.Equal(t, []uint64{81, 82, 83, 84, 85, 86, 87, 88, 89, 90}, got[0].IDs)
	assert.LessOrEqual(t, len(got[0].Evidence), MaxEvidence)
}

// TestLedgerSurvivesStrangeSnapshots: detectors run on saved files too.
func TestLedgerSurvivesStrangeSnapshots(t *testing.T) {
	stack := goroutine.NewStack([]goroutine.Frame{{Function: "main.f"}})
	snapshot := func(births ...goroutine.Cohort) *goroutine.Snapshot {
		return &goroutine.Snapshot{
			Epochs: []goroutine.Epoch{{LastID: 10}, {LastID: 20}},
			Groups: []goroutine.Group{{Stack: stack, State: goroutine.MutexLock, Count: 3, Births: births}},
		}
	}
	looks := []*goroutine.Snapshot{
		snapshot(goroutine.Cohort{Epoch: 7, Count: 3}),
		snapshot(goroutine.Cohort{Epoch: -1, Count: 3}),
		snapshot(goroutine.Cohort{Epoch: 1, Count: 1, Digest: 5}, goroutine.Cohort{Epoch: 0, Count: 2, Digest: 6}),
		snapshot(),
	}
	find := placeFinder{known: func(*goroutine.Stack) bool { return false }, state: goroutine.State.Lock, least: 1}
	for _, pl := range find.find(looks) {
		var l ledger
		l.fill(pl, looks)
		assert.Equal(t, []tally{{}, {}}, l.look(0))
		assert.Equal(t, []tally{{}, {}}, l.look(1))
		assert.Equal(t, 3, l.look(2)[0].count+l.look(2)[1].count)
	}
}

func TestNewestBefore(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	looks := []*goroutine.Snapshot{{Time: at(10)}, {Time: at(20)}, {Time: at(30)}}
	for s, want := range map[int]int{9: -1, 10: 0, 19: 0, 20: 1, 35: 2} {
		assert.Equal(t, want, newestBefore(looks, at(s)), "%d", s)
	}
}
