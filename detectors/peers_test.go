// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

var (
	httpFrames = []string{"net/http.HandlerFunc.ServeHTTP:10", "net/http.serverHandler.ServeHTTP:20", "net/http.(*conn).serve:30"}

	atServeEvents    = detectortest.At(goroutine.Select, append([]string{"runtime.gopark", "main.serveEvents:42"}, httpFrames...)...)
	atHijacked       = detectortest.At(goroutine.ChanReceive, append([]string{"runtime.gopark", "main.chat:62"}, httpFrames...)...)
	atOtherHandler   = detectortest.At(goroutine.ChanReceive, append([]string{"runtime.gopark", "main.query:52"}, httpFrames...)...)
	atIdleConn       = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net/http.(*conn).readRequest:5", "net/http.(*conn).serve:31")
	atBackgroundRead = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net/http.(*connReader).backgroundRead:7")

	atWritePump = detectortest.At(goroutine.Select, "runtime.gopark", "main.(*client).writePump:12")
	atReadPump  = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net.(*conn).Read", "main.(*client).readPump:22")
	atOtherRead = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net.(*conn).Read", "main.(*feed).read:32")
	atWriteFunc = detectortest.At(goroutine.Select, "runtime.gopark", "main.serveConn.func1:12")
	atServeConn = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net.(*conn).Read", "main.serveConn:22")

	atH2Handler = detectortest.At(goroutine.Select, "runtime.gopark", "main.watch:9", "net/http.HandlerFunc.ServeHTTP:10", "net/http.(*http2serverConn).runHandler:2")
	atH2Reads   = detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net/http.(*http2serverConn).readFrames:2")
)

// clients come to a service, about ten a minute at random for an hour, and may go.
type clients struct {
	handler, companion detectortest.Place
	stay               time.Duration // how long one of them stays; 0: for ever
	share              float64       // of them that go at all; the others stay
	apart              bool          // companions come at times of their own
	first              bool          // companions are born first
	busy               int           // how many requests come and go in a quarter of a minute
	anew               bool          // a companion that goes is followed by another one
}

// peers returns what is told of the handlers of clients after an hour.
func (c clients) peers(t *testing.T, seed uint64, also func(p *detectortest.Process, i int)) (n, alive, orphaned int, known bool) {
	t.Helper()
	series := c.history(t, seed, also)
	last := len(series) - 1
	n, alive, orphaned, known = detectors.PeersAt(series[:last], series[last], c.handler.Stack.ID, c.handler.State)
	require.NotZero(t, n)
	return n, alive, orphaned, known
}

// history returns the snapshots of an hour that an engine keeps.
func (c clients) history(t *testing.T, seed uint64, also func(p *detectortest.Process, i int)) []*goroutine.Snapshot {
	t.Helper()
	r, p := rand.New(rand.NewPCG(seed, 3)), detectortest.NewProcess(4)
	var went []leaving
	series := detectortest.Series(p, 240, 15*time.Second, func(i int) {
		for len(went) > 0 && !went[0].at.After(p.Now()) {
			p.Exit(went[0].id)
			if went = went[1:]; c.anew {
				c.accompany(p, r, &went)
			}
		}
		for _, come := range c.events(p, r, &went) {
			come()
		}
		if also != nil {
			also(p, i)
		}
	})
	return goroutine.Thin(series, 36, detectors.NewestKept, func(s *goroutine.Snapshot) time.Time { return s.Time })
}

// events returns what happens within a quarter of a minute, in an order by chance.
func (c clients) events(p *detectortest.Process, r *rand.Rand, went *[]leaving) (all []func()) {
	handler, companion := func() { p.Go(c.handler, 1) }, func() { c.accompany(p, r, went) }
	for range poisson(r, 2.5) {
		switch {
		case c.apart:
			all = append(all, handler)
		case c.first:
			all = append(all, func() { companion(); handler() })
		default:
			all = append(all, func() { handler(); companion() })
		}
	}
	if c.apart {
		for range poisson(r, 2.5) {
			all = append(all, companion)
		}
	}
	for range c.busy {
		all = append(all, func() { p.Exit(p.Go(atOtherHandler, 1)...) })
	}
	r.Shuffle(len(all), func(i, k int) { all[i], all[k] = all[k], all[i] })
	return all
}

// A leaving is a companion that is going to end.
type leaving struct {
	at time.Time
	id uint64
}

func (c clients) accompany(p *detectortest.Process, r *rand.Rand, went *[]leaving) {
	if c.companion.Stack == nil {
		return
	}
	id := p.Go(c.companion, 1)[0]
	if c.stay > 0 && r.Float64() < c.share {
		*went = append(*went, leaving{p.Now().Add(c.stay), id})
	}
}

// TestReadersThatAreStartedAnew has connections of which each starts a goroutine to read the
// next message, and waits for it, as kfake's do. Those that have gone say nothing.
func TestReadersThatAreStartedAnew(t *testing.T) {
	c := clients{
		handler:   detectortest.At(goroutine.Select, "runtime.gopark", "main.(*conn).read:12"),
		companion: detectortest.At(goroutine.IOWait, "internal/poll.runtime_pollWait", "net.(*conn).Read", "main.(*conn).read.func1:8"),
		stay:      40 * time.Second, share: 1, anew: true,
	}
	named := c
	named.companion = atOtherRead
	for seed := range uint64(10) {
		_, _, orphaned, _ := c.peers(t, seed, nil)
		assert.Zero(t, orphaned, "seed %d", seed)
		_, _, orphaned, _ = named.peers(t, seed, nil)
		assert.Zero(t, orphaned, "seed %d, a function with a name", seed)
	}
	c.anew, c.busy, c.stay = false, 70, 10*time.Minute
	n, _, orphaned, known := c.peers(t, 1, nil)
	assert.True(t, known)
	assert.Greater(t, orphaned, n/2, "these readers were the last")
}

// poisson returns how many come if mean come on average.
func poisson(r *rand.Rand, mean float64) (n int) {
	for t := r.ExpFloat64(); t < mean; t += r.ExpFloat64() {
		n++
	}
	return n
}

func TestHandlersWhoseClientsStayAreAlive(t *testing.T) {
	n, alive, orphaned, known := clients{handler: atServeEvents, companion: atBackgroundRead}.peers(t, 1, nil)
	assert.True(t, known)
	assert.Equal(t, n, alive)
	assert.Zero(t, orphaned)
}

func TestHandlersWhoseClientsHaveGoneAreOrphans(t *testing.T) {
	n, alive, orphaned, known := clients{handler: atServeEvents, companion: atBackgroundRead, stay: time.Minute, share: 1}.peers(t, 1, nil)
	assert.True(t, known)
	assert.Less(t, alive, n/10)
	assert.Equal(t, n, alive+orphaned, "those of the last minute have clients")
	assert.Greater(t, alive, 0)
}

func TestHandlersOfWhichSomeHaveClients(t *testing.T) {
	n, alive, orphaned, known := clients{handler: atServeEvents, companion: atBackgroundRead, stay: time.Minute, share: 0.5}.peers(t, 1, nil)
	assert.True(t, known)
	assert.Equal(t, n, alive+orphaned)
	assert.InDelta(t, n/2, orphaned, float64(n)/10)
}

// TestOtherRequestsDoNotHideOrphans has requests at other places, each with its
// companion, and connections that wait for a request, which have none.
func TestOtherRequestsDoNotHideOrphans(t *testing.T) {
	others := func(p *detectortest.Process, i int) {
		for range 3 {
			p.GoFor(atOtherHandler, 40*time.Second)
			p.GoFor(atBackgroundRead, 40*time.Second)
			p.Go(atIdleConn, 1)
		}
	}
	n, alive, orphaned, known := clients{handler: atServeEvents, companion: atBackgroundRead}.peers(t, 1, others)
	assert.True(t, known)
	assert.Equal(t, n, alive)
	assert.Zero(t, orphaned)
	n, alive, orphaned, known = clients{handler: atServeEvents, companion: atBackgroundRead, stay: time.Minute, share: 1}.peers(t, 1, others)
	assert.True(t, known)
	assert.Greater(t, orphaned, n*8/10)
	assert.LessOrEqual(t, alive+orphaned, n)
}

// TestHandlersThatTakeOverTheirConnection have no companions, whether their peers are
// alive or not.
func TestHandlersThatTakeOverTheirConnection(t *testing.T) {
	others := func(p *detectortest.Process, i int) {
		p.GoFor(atOtherHandler, 40*time.Second)
		p.GoFor(atBackgroundRead, 40*time.Second)
	}
	_, _, orphaned, known := clients{handler: atServeEvents}.peers(t, 1, others)
	assert.False(t, known)
	assert.Zero(t, orphaned)
}

func TestCompanionsOfAConnection(t *testing.T) {
	for name, c := range map[string]clients{
		"made at once":              {handler: atWritePump, companion: atReadPump, busy: 70},
		"the reader first":          {handler: atWritePump, companion: atReadPump, first: true, busy: 70},
		"the reader has made them":  {handler: atWriteFunc, companion: atServeConn, first: true, busy: 70},
		"of a request's connection": {handler: atWriteFunc, companion: atBackgroundRead, busy: 70},
	} {
		t.Run(name, func(t *testing.T) {
			n, alive, orphaned, known := c.peers(t, 1, nil)
			assert.True(t, known)
			assert.Greater(t, alive, n*9/10, "the youngest do not count")
			assert.Zero(t, orphaned)

			quiet := c
			quiet.busy = 0
			n, alive, orphaned, known = quiet.peers(t, 1, nil)
			assert.True(t, known, "in a service that does nothing else")
			assert.Greater(t, alive, n*9/10)
			assert.Zero(t, orphaned)

			c.stay, c.share = 10*time.Minute, 1
			n, alive, orphaned, known = c.peers(t, 1, nil)
			if c.companion == atBackgroundRead {
				assert.False(t, known, "what a request leaves behind may go on with its work")
				assert.Zero(t, orphaned)
				return
			}
			assert.True(t, known)
			assert.Greater(t, orphaned, n*6/10)
			assert.InDelta(t, n/6, alive, float64(n)/12, "those of the last ten minutes")
		})
	}
}

func TestReadersThatCameByThemselvesAreNoCompanions(t *testing.T) {
	for seed := range uint64(4) {
		for _, stay := range []time.Duration{0, 10 * time.Minute} {
			c := clients{handler: atWritePump, companion: atOtherRead, apart: true, stay: stay, share: 1, busy: 70 * int(seed%2)}
			_, alive, orphaned, known := c.peers(t, seed, nil)
			assert.False(t, known, "%d %s: %d alive, %d orphaned", seed, stay, alive, orphaned)
		}
	}
}

func TestWhatKnowsNothingOfItsPeer(t *testing.T) {
	for name, c := range map[string]clients{
		"streams share a connection":     {handler: atH2Handler, companion: atH2Reads},
		"a reader is its own companion":  {handler: atReadPump, companion: atReadPump, busy: 70},
		"there is no connection":         {handler: atWritePump},
		"connections wait for a request": {handler: atIdleConn, companion: atBackgroundRead},
	} {
		_, _, _, known := c.peers(t, 1, nil)
		assert.False(t, known, name)
	}
}
