// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"cmp"
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

func newGrowth() *detectors.Detector { return detectors.NewGrowth(detectors.DefaultGrowthConfig()) }

// reading gives a detector what the code of the process says about timers.
func reading(d *detectors.Detector, may, known bool) *detectors.Detector {
	run := d.Run
	d.Run = func(p *detectors.Pass) error {
		p.Timers = func(*goroutine.Stack) (bool, bool) { return may, known }
		return run(p)
	}
	return d
}

// A course is a population that grows, and what is seen of it.
type course struct {
	at        detectortest.Place
	perMinute int
	until     time.Duration      // nothing comes any more; 0: never
	waker     detectortest.Place // in windows; the runtime if it is zero
	woken     bool
	beside    detectortest.Place // as many come and stay there; may be zero
	others    int                // how many connections come beside, with each snapshot
	life      time.Duration      // 0: for ever

	unread, timers bool    // what the code says
	blind          bool    // no windows
	scale          float64 // of all times; 0: 1
}

// tell replays a course with a snapshot every 15 s and returns when the detector found
// something first, when with at least medium, and what it found last.
func (c course) tell(t *testing.T, d *detectors.Detector, length time.Duration) (first, sure time.Duration, last []detectors.Finding) {
	t.Helper()
	p := detectortest.NewProcess(1)
	c.scale = cmp.Or(c.scale, 1)
	var members []uint64
	w := watch(t, *reading(d, c.timers, !c.unread), func() *goroutine.Snapshot {
		if !c.woken {
			return windowOf(p, c.at, feeder)
		}
		return windowOf(p, c.at, c.waker, members...)
	})
	if c.blind {
		w.Expect()
	}
	for due := 0; p.Now().Sub(detectortest.Start) < length; due += c.perMinute {
		for ; due >= 4; due -= 4 {
			if c.until == 0 || p.Now().Sub(detectortest.Start) < c.until {
				members = c.come(p, members)
			}
		}
		p.Go(atDevice, c.others)
		p.Advance(time.Duration(c.scale * float64(interval)))
		if c.blind {
			last = w.Step(p.Snapshot()).Findings
		} else {
			last = w.step(p).Findings
		}
		for _, f := range last {
			at := p.Now().Sub(detectortest.Start)
			if first == 0 {
				first = at
			}
			if sure == 0 && f.Confidence >= detectors.Medium {
				sure = at
			}
		}
	}
	return first, sure, last
}

func (c course) come(p *detectortest.Process, members []uint64) []uint64 {
	if c.beside.Stack != nil {
		p.Go(c.beside, 1)
	}
	if c.life > 0 {
		return append(members, p.GoFor(c.at, c.life))
	}
	return append(members, p.Go(c.at, 1)...)
}

var (
	atProduce = place(goroutine.ChanSend, "main.produce:12")
	atWake    = place(goroutine.Select, "main.(*Session).wait:31")
	atDevice  = place(goroutine.IOWait, "main.(*Conn).read:9")
	atSleeper = place(goroutine.Sleep, "main.decay:7")
	atStreams = detectortest.At(goroutine.Select, "main.(*Feed).Watch:3", "google.golang.org/grpc.(*Server).processStreamingRPC:9")
)

// TestOrphansAreToldSoonTheSteeperTheyGrow has what a leak is, beside what differs
// from it in one thing, which takes longer or is none.
func TestOrphansAreToldSoonTheSteeperTheyGrow(t *testing.T) {
	for name, tc := range map[string]struct {
		course
		from, within time.Duration // 0, 0: never in 70 minutes
	}{
		"60 a minute":                      {course{at: atInbox, perMinute: 60}, 8 * time.Minute, 15 * time.Minute},
		"60 a minute, senders":             {course{at: atProduce, perMinute: 60, unread: true}, 8 * time.Minute, 15 * time.Minute},
		"10 a minute":                      {course{at: atInbox, perMinute: 10}, 16 * time.Minute, 25 * time.Minute},
		"2 a minute":                       {course{at: atInbox, perMinute: 2}, 40 * time.Minute, 52 * time.Minute},
		"60 a minute, code unread":         {course{at: atInbox, perMinute: 60, unread: true}, 40 * time.Minute, 52 * time.Minute},
		"60 a minute, no windows":          {course{at: atInbox, perMinute: 60, blind: true}, 40 * time.Minute, 52 * time.Minute},
		"60 a minute, with connections":    {course: course{at: atInbox, perMinute: 60, beside: atDevice}},
		"10 a minute, beside others":       {course{at: atInbox, perMinute: 10, others: 10}, 40 * time.Minute, 52 * time.Minute},
		"60 a minute, streams of gRPC":     {course{at: atStreams, perMinute: 60}, 40 * time.Minute, 52 * time.Minute},
		"60 a minute, each by itself":      {course: course{at: atStreams, perMinute: 60, beside: atGRPCReads}},
		"60 a minute, beside others":       {course{at: atStreams, perMinute: 60, beside: atDevice}, 40 * time.Minute, 52 * time.Minute},
		"60 a minute, may wait for timers": {course: course{at: atInbox, perMinute: 60, timers: true}},
		"60 a minute, a timer wakes them":  {course: course{at: atInbox, perMinute: 60, woken: true}},
		"60 a minute, goroutines do":       {course: course{at: atInbox, perMinute: 60, woken: true, waker: feeder}},
		"60 a minute, of five minutes":     {course: course{at: atInbox, perMinute: 60, life: 5 * time.Minute}},
		"2 a minute, for forty minutes":    {course: course{at: atInbox, perMinute: 2, until: 40 * time.Minute}},
		"60 a minute, for eight minutes":   {course: course{at: atInbox, perMinute: 60, until: 8 * time.Minute}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, sure, last := tc.tell(t, newLeak(), max(tc.within, 70*time.Minute))
			assert.Equal(t, first, sure, "a leak is a warning")
			assert.GreaterOrEqual(t, first, tc.from)
			assert.LessOrEqual(t, first, tc.within)
			if tc.within > 0 {
				require.NotZero(t, first, "never told")
				detectortest.Compare(t, last, detectortest.Want{Confidence: detectors.Suspected})
			}
		})
	}
}

// TestASlowLeakIsToldWhereItIsSure has eight goroutines an hour, which is below what
// is told where they may be alive.
func TestASlowLeakIsToldWhereItIsSure(t *testing.T) {
	for _, unread := range []bool{false, true} {
		p := detectortest.NewProcess(1)
		w := watch(t, *reading(newLeak(), false, !unread), func() *goroutine.Snapshot { return windowOf(p, atInbox, feeder) })
		var first time.Duration
		for i := range 4 * 60 * 3 {
			if i%30 == 0 {
				p.Go(atInbox, 1)
			}
			p.Advance(interval)
			if len(w.step(p).Findings) > 0 && first == 0 {
				first = p.Now().Sub(detectortest.Start)
			}
		}
		assert.Equal(t, !unread, first > 2*time.Hour, "unread: %v; first after %v", unread, first)
	}
}

// TestTheLivingAreTold has what speaks for goroutines being alive, and as their twin
// those for which nothing does.
func TestTheLivingAreTold(t *testing.T) {
	for name, tc := range map[string]struct {
		course
		says, advice string // "": nothing is told
	}{
		"a timer wakes them":         {course{at: atWake, woken: true, unread: true}, "They may be alive: a timer wakes them", "If it is not, find what should end their loop"},
		"they may wait for timers":   {course{at: atWake, timers: true}, "They may be alive: they may wait for a timer", "stopping a Ticker does not close its channel"},
		"goroutines wake them":       {course{at: atWake, woken: true, waker: feeder}, "They may be alive: other goroutines wake them now and then", "find what should end this select"},
		"they sleep":                 {course{at: atSleeper}, "They may be alive: a timer wakes them", "find what should end their loop"},
		"connections come with them": {course{at: atWake, beside: atDevice}, "They may be alive: their connections are open", "find what should end this select"},
		"connections":                {course{at: atDevice}, "They may be alive: they wait for the other end of a connection", "set deadlines"},
		"nothing wakes them":         {course: course{at: atWake}},
		"nothing is known":           {course: course{at: atWake, unread: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.perMinute = 10
			length := 150 * time.Minute
			if tc.says == "" {
				length = time.Hour
			}
			first, sure, last := tc.tell(t, newGrowth(), length)
			if tc.says == "" {
				assert.Empty(t, last)
				return
			}
			require.NotZero(t, first)
			assert.Less(t, first, 45*time.Minute)
			assert.Greater(t, sure, 120*time.Minute)
			assert.Less(t, sure, 145*time.Minute)
			last = slices.DeleteFunc(last, func(f detectors.Finding) bool { return f.Stack != tc.at.Stack })
			detectortest.Compare(t, last, detectortest.Want{State: tc.at.State, Contains: tc.says})
			assert.Contains(t, last[0].Advice, tc.advice)
			assert.True(t, last[0].Stands)
		})
	}
}

// TestARampOfTwoHoursIsNoMoreThanInformation is complete before the window is.
func TestARampOfTwoHoursIsNoMoreThanInformation(t *testing.T) {
	c := course{at: atDevice, perMinute: 4, until: 2 * time.Hour}
	first, sure, _ := c.tell(t, newGrowth(), 170*time.Minute)
	assert.NotZero(t, first)
	assert.Zero(t, sure, "a warning")
}

// TestGrowthIsSilentAboutWhatEnds has populations that are replaced.
func TestGrowthIsSilentAboutWhatEnds(t *testing.T) {
	for name, c := range map[string]course{
		"connections of ten minutes": {at: atDevice, perMinute: 10, life: 10 * time.Minute},
		"of half an hour":            {at: atDevice, perMinute: 4, life: 30 * time.Minute},
		"a few, and no more":         {at: atSleeper, perMinute: 10, until: 4 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, _, _ := c.tell(t, newGrowth(), 100*time.Minute)
			assert.Zero(t, first)
		})
	}
}

// TestTimesScaleTogether replays the same courses at a hundredth of their time.
func TestTimesScaleTogether(t *testing.T) {
	const scale = 0.01
	byName := make(map[string]*detectors.Detector)
	for _, d := range detectors.Scaled(scale) {
		byName[d.Name] = d
	}
	for name, tc := range map[string]struct {
		course
		whole *detectors.Detector
	}{
		"leak":   {course{at: atProduce, perMinute: 60}, newLeak()},
		"growth": {course{at: atDevice, perMinute: 10}, newGrowth()},
	} {
		whole, _, _ := tc.tell(t, tc.whole, 30*time.Minute)
		tc.scale = scale
		scaled, _, last := tc.tell(t, byName[name], 18*time.Second)
		assert.NotZero(t, whole, name)
		assert.Equal(t, whole, time.Duration(float64(scaled)/scale), name)
		assert.NotEmpty(t, last, name)
	}
}

// What belongs to the program's own clients, and what to those of others.
var (
	atOpener = detectortest.At(goroutine.Select, "runtime.gopark", "database/sql.(*DB).connectionOpener:9", "runtime.goexit")
	atServed = detectortest.At(goroutine.Select, "runtime.gopark", "golang.org/x/net/http2.(*serverConn).serve:9", "runtime.goexit")
)

// between is a leak that stops: what came stays.
func between(at detectortest.Place, perMinute float64, from, to time.Duration) shape {
	return func(s *service) {
		if e := s.elapsed(); e >= from && e < to {
			s.Go(at, s.arrivals(perMinute))
		}
	}
}

// warnings is the detector "growth" without what is only information.
func warnings() *detectors.Detector {
	d := *newGrowth()
	run := d.Run
	d.Run = func(p *detectors.Pass) error {
		sure, report := *p, p.Report
		sure.Report = func(f detectors.Finding) {
			if f.Confidence >= detectors.Medium {
				report(f)
			}
		}
		return run(&sure)
	}
	return &d
}

func TestGrowthOfWhatIsNeverClosed(t *testing.T) {
	const from = time.Hour
	for name, tc := range map[string]struct {
		shape shape
		want  bool
	}{
		"one per request":                {leak(atOpener, 5, from), true},
		"one a minute":                   {leak(atOpener, 1, from), true},
		"one in ten minutes":             {leak(atOpener, 0.1, from), false},
		"a fleet in half an hour":        {between(atOpener, 10, from, from+30*time.Minute), false},
		"a fleet in 85 minutes":          {between(atOpener, 10, from, from+85*time.Minute), false},
		"a fleet right after the start":  {between(atOpener, 10, 0, 85*time.Minute), false},
		"a fleet in two hours":           {between(atOpener, 10, from, from+2*time.Hour), false},
		"one in two hours after a start": {between(atOpener, 2, 0, 2*time.Hour), false},
		"two fleets":                     {together(between(atOpener, 2, from, from+20*time.Minute), between(atOpener, 2, from+90*time.Minute, from+110*time.Minute)), false},
		"clients that come and go":       {func(s *service) { connect(s, atOpener, 5, 2*time.Hour) }, false},
		"a server whose clients stay":    {leak(atServed, 5, from), false},
		"a pool that is made once, late": {between(atOpener, 1000, 2*time.Hour, 2*time.Hour+tick), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(2) {
				found, first := replay(t, warnings(), newService(1+int(seed), seed), tc.shape, 4*time.Hour)
				if !tc.want {
					require.Zero(t, first, "seed %d", seed)
					continue
				}
				require.NotEmpty(t, found, "seed %d", seed)
				assert.Less(t, first-from, 130*time.Minute)
				last := found[len(found)-1]
				detectortest.Compare(t, []detectors.Finding{last}, detectortest.Want{
					State: goroutine.Select, Confidence: detectors.Medium, Contains: "more every minute: they belong to clients, pools or subscriptions that are never closed.",
				})
				assert.Contains(t, last.Advice, "Find sql.Open in code that runs more than once")
				assert.Contains(t, last.Evidence, "There is one for each sql.DB that is not closed.")
			}
		})
	}
}

// connect has ever more that stay for a while.
func connect(s *service, at detectortest.Place, perMinute float64, mean time.Duration) {
	for range s.arrivals(perMinute) {
		s.GoFor(at, s.exponential(mean))
	}
}

// TestGrowthOfWhatAUserExcluded has the user's word count, even for what the
// list would have judged.
func TestGrowthOfWhatAUserExcluded(t *testing.T) {
	d := newGrowth()
	for name, own := range map[string][]detectors.KnownStack{
		"not": nil,
		"yes": {{Name: "tenants", Reason: "a pool for each, and more every day", Match: func(s *goroutine.Stack) bool { return s.Has("database/sql.(*DB).connectionOpener") }}},
	} {
		e := engine.New(engine.Config{Detectors: []*detectors.Detector{d}, Known: own})
		p := detectortest.NewProcess(1)
		var found []detectors.Finding
		for _, s := range detectortest.Series(p, 200, time.Minute, func(int) { p.Go(atOpener, 1) }) {
			r := e.Step(s)
			require.NoError(t, r.Verdicts[0].Err)
			found = append(found, r.Findings...)
		}
		assert.Equal(t, own == nil, len(found) > 0, "excluded: %s", name)
	}
}
