package otelgoroutine

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
)

var lockStack = goroutine.NewStack([]goroutine.Frame{{Function: "sync.(*Mutex).Lock"}, {Function: "main.transfer", File: "/src/main.go", Line: 9}})

// stuck is a capturer that always sees goroutines waiting for a lock.
func stuck() *script {
	return &script{take: func(int) (*goroutine.Snapshot, []capture.Skip) {
		return &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceTrace, Total: 5,
			Groups: []goroutine.Group{{Stack: lockStack, State: goroutine.MutexLock, Count: 5}}}, nil
	}}
}

// locked reports a deadlock at every look.
func locked() *detectors.Detector {
	return &detectors.Detector{Name: "locked", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Count: g.Count, Evidence: []string{"It is stuck."}})
		return nil
	}}
}

func dumpOf(groups ...goroutine.Group) func() *capture.Dump {
	return func() *capture.Dump {
		return &capture.Dump{Snapshot: &goroutine.Snapshot{Time: time.Now(), Source: goroutine.SourceText, Groups: groups}}
	}
}

func TestADumpTellsWhichLockAndWhoMadeThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stuck()
		creator := goroutine.Frame{Function: "main.serve", File: "/src/main.go", Line: 3}
		c.text = dumpOf(
			goroutine.Group{Stack: lockStack, State: goroutine.MutexLock, Count: 4, Lock: 0xc000012340, CreatedBy: creator, Wait: 3 * time.Minute},
			goroutine.Group{Stack: lockStack, State: goroutine.MutexLock, Count: 1, Lock: 0xc000056780, CreatedBy: creator, Wait: time.Minute},
			goroutine.Group{Stack: goroutine.NewStack(nil), State: goroutine.MutexLock, Count: 9, Lock: 0xbad})
		var logs memory
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(c), WithDetectors(locked()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Hour - time.Minute)
		require.Len(t, m.Findings(), 1)
		assert.Equal(t, creator, m.Findings()[0].CreatedBy)
		assert.Equal(t, []string{
			"It is stuck.",
			"They were created by main.serve (main.go:3).",
			"The lock at 0xc000012340 has 4 waiting here.",
			"The lock at 0xc000056780 has 1 waiting here.",
			"By the runtime's own clock, one has waited for 3m0s.",
		}, m.Findings()[0].Evidence)
		assert.Equal(t, "main.serve", attribute(t, &logs, "goroutine.creator.function.name"), "the first event has it")
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 1, c.texts, "one dump for one finding")
	})
}

func TestWithoutADumpAFindingStaysAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logs memory
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(stuck()), WithDetectors(locked()), WithLoggerProvider(logsTo(&logs)))
		require.NoError(t, err)
		time.Sleep(time.Minute)
		require.Len(t, m.Findings(), 1)
		assert.Equal(t, []string{"It is stuck."}, m.Findings()[0].Evidence)
		assert.Len(t, logs.names(), 1)
		require.NoError(t, m.Shutdown(t.Context()))
	})
}

// reports is a detector that finds f at the first group of every look.
func reports(f detectors.Finding) *detectors.Detector {
	return &detectors.Detector{Name: "reports", Run: func(p *detectors.Pass) error {
		g := p.Snapshot.Groups[0]
		f := f
		f.State, f.Count = g.State, g.Count
		if f.Stack == nil {
			f.Stack = g.Stack
		}
		p.Report(f)
		return nil
	}}
}

func TestWhatIsWorthADump(t *testing.T) {
	creator := goroutine.Frame{Function: "main.serve"}
	for name, tt := range map[string]struct {
		finding detectors.Finding
		dumps   int
	}{
		"not a fault":       {detectors.Finding{Confidence: detectors.Info}, 0},
		"not sure":          {detectors.Finding{Confidence: detectors.Medium}, 0},
		"a suspicion":       {detectors.Finding{Confidence: detectors.Suspected}, 1},
		"certain":           {detectors.Finding{Confidence: detectors.Certain}, 1},
		"the creator known": {detectors.Finding{Confidence: detectors.Certain, CreatedBy: creator}, 0},
		"the whole process": {detectors.Finding{Confidence: detectors.Certain, Stack: &goroutine.Stack{ID: goroutine.OtherStacks}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := parked(3)
				c.text = dumpOf()
				m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(c), WithDetectors(reports(tt.finding)))
				require.NoError(t, err)
				time.Sleep(time.Hour)
				require.NoError(t, m.Shutdown(t.Context()))
				assert.Equal(t, tt.dumps, c.texts)
			})
		})
	}
}

func TestADumpThatIsRefusedIsNotAskedForAtEveryLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := parked(3)
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(c), WithDetectors(always()))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.NoError(t, m.Shutdown(t.Context()))
		assert.Equal(t, 61, c.texts, "at 0, 1, … 60 minutes, and not every 15 s")
	})
}

// TestWhoMadeThem goes by the goroutines that a finding lists, and by where
// they wait when the dump lists none of these.
func TestWhoMadeThem(t *testing.T) {
	serve := goroutine.Frame{Function: "main.serve", File: "/src/server.go", Line: 41}
	retry := goroutine.Frame{Function: "main.retry", File: "/src/retry.go", Line: 7}
	here := goroutine.NewStack([]goroutine.Frame{{Function: "main.send"}})
	elsewhere := goroutine.NewStack([]goroutine.Frame{{Function: "main.send"}, {Function: "main.other"}})
	group := func(at *goroutine.Stack, state goroutine.State, by goroutine.Frame, count int, ids ...uint64) goroutine.Group {
		return goroutine.Group{Stack: at, State: state, CreatedBy: by, Count: count, IDs: ids}
	}
	for name, tt := range map[string]struct {
		count  int
		ids    []uint64
		groups []goroutine.Group
		by     goroutine.Frame
		says   []string
	}{
		"where they wait": {5, nil, []goroutine.Group{group(here, goroutine.ChanSend, serve, 5, 1, 2)}, serve,
			[]string{"They were created by main.serve (server.go:41)."}},
		"one": {1, nil, []goroutine.Group{group(here, goroutine.ChanSend, serve, 1, 1)}, serve,
			[]string{"It was created by main.serve (server.go:41)."}},
		"another state": {5, nil, []goroutine.Group{group(here, goroutine.Select, serve, 5, 1, 2)}, goroutine.Frame{}, nil},
		"another stack": {5, []uint64{7}, []goroutine.Group{group(elsewhere, goroutine.ChanSend, serve, 5, 1, 2)}, goroutine.Frame{}, nil},
		"its own among others at its stack": {2, []uint64{3, 4}, []goroutine.Group{
			group(here, goroutine.ChanSend, serve, 9, 1, 2), group(here, goroutine.ChanSend, retry, 2, 3, 4)}, retry,
			[]string{"They were created by main.retry (retry.go:7)."}},
		"at another of its stacks": {9, []uint64{3, 4}, []goroutine.Group{group(elsewhere, goroutine.ChanSend, retry, 2, 3, 4)}, retry,
			[]string{"They were created by main.retry (retry.go:7)."}},
		"woken since": {2, []uint64{3, 4}, []goroutine.Group{group(elsewhere, goroutine.Running, retry, 2, 3, 4)}, retry,
			[]string{"They were created by main.retry (retry.go:7)."}},
		"several": {9, nil, []goroutine.Group{
			group(here, goroutine.ChanSend, serve, 3, 1), group(here, goroutine.ChanSend, retry, 6, 3)}, retry,
			[]string{"They were created by main.retry (retry.go:7) and at one other place."}},
		"the main goroutine": {1, []uint64{1}, []goroutine.Group{group(here, goroutine.ChanSend, goroutine.Frame{}, 1, 1)}, goroutine.Frame{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := detectors.Finding{Stack: here, State: goroutine.ChanSend, Count: tt.count, IDs: tt.ids}
			enrichmentOf(dumpOf(tt.groups...)(), &f).addTo(&f)
			assert.Equal(t, tt.by, f.CreatedBy)
			assert.Equal(t, tt.says, f.Evidence)
		})
	}
}

// TestTheAdviceStays fills the evidence: what a dump tells comes before the
// advice, and takes the place of what was said last.
func TestTheAdviceStays(t *testing.T) {
	said := func(n int, advice ...string) (s []string) {
		for i := range n {
			s = append(s, fmt.Sprintf("%d.", i+1))
		}
		return append(s, advice...)
	}
	const next = "Next: look."
	for _, tt := range []struct {
		before, added, after []string
	}{
		{nil, []string{"A."}, []string{"A."}},
		{said(1, next), nil, said(1, next)},
		{said(1, next), []string{"A.", "B."}, []string{"1.", "A.", "B.", next}},
		{said(2, next), []string{"A.", "B.", "C.", "D.", "E."}, []string{"1.", "2.", "A.", "B.", "C.", "D.", "E.", next}},
		{said(7, next), []string{"A.", "B."}, []string{"1.", "2.", "3.", "4.", "5.", "A.", "B.", next}},
		{said(7, next), []string{"A.", "B.", "C.", "D.", "E."}, []string{"1.", "2.", "3.", "A.", "B.", "C.", "D.", next}},
		{said(8), []string{"A.", "B.", "C.", "D.", "E."}, []string{"1.", "2.", "3.", "4.", "A.", "B.", "C.", "D."}},
	} {
		f := detectors.Finding{Evidence: tt.before}
		enrichment{evidence: tt.added}.addTo(&f)
		assert.Equal(t, tt.after, f.Evidence)
	}
}

func TestDumpsAreFarApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := stuck()
		c.text = dumpOf()
		// A finding with another subject at every look is a new one each time.
		changing := &detectors.Detector{Name: "changing", Run: func(p *detectors.Pass) error {
			g := p.Snapshot.Groups[0]
			p.Report(detectors.Finding{Confidence: detectors.High, Stack: g.Stack, State: g.State, Subject: p.Snapshot.Time.String()})
			return nil
		}}
		m, err := Start(sdkmetric.NewMeterProvider(), withCapturer(c), WithDetectors(changing))
		require.NoError(t, err)
		time.Sleep(time.Hour)
		synctest.Wait()
		assert.Equal(t, 61, c.texts, "at 0, 1, … 60 minutes")
		assert.LessOrEqual(t, len(m.watch.enriched), 1, "what is gone is forgotten")
		require.NoError(t, m.Shutdown(t.Context()))
	})
}
