// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
)

// kernel returns sockets: some whose peers have gone as long ago as given, and some
// that are established and have been silent for as long.
func kernel(now time.Time, gone int, since time.Duration, silent int, quiet time.Duration) *goroutine.Sockets {
	s := &goroutine.Sockets{Time: now, Share: 1, All: []goroutine.Socket{{State: goroutine.SocketListen}}}
	for range gone {
		s.All = append(s.All, goroutine.Socket{State: goroutine.SocketCloseWait, Gone: true, Since: now.Add(-since)})
	}
	for range silent {
		s.All = append(s.All, goroutine.Socket{State: goroutine.SocketEstablished, Received: quiet})
	}
	return s
}

// histories are those of clients that tests have in common.
var histories = make(map[clients][]*goroutine.Snapshot)

// told returns what is said of the clients of c when the kernel tells of sockets.
func told(t *testing.T, c clients, age time.Duration, sockets func(now time.Time) (*goroutine.Sockets, error)) (what, why string, asked bool) {
	t.Helper()
	if histories[c] == nil {
		histories[c] = c.history(t, 1, nil)
	}
	p := detectors.NewPass(histories[c])
	p.Sockets = func() (*goroutine.Sockets, error) { asked = true; return sockets(p.Snapshot.Time) }
	n := 0
	for i := range p.Snapshot.Groups {
		if g := &p.Snapshot.Groups[i]; g.Stack.ID == c.handler.Stack.ID && g.State == c.handler.State {
			n = g.Count
		}
	}
	what, why = detectors.Peers(p, c.handler.Stack.ID, c.handler.State, n, age)
	return what, why, asked
}

func TestWhatIsKnownOfPeers(t *testing.T) {
	const age = 5 * time.Minute
	of := func(gone int, since time.Duration, silent int, quiet time.Duration) func(time.Time) (*goroutine.Sockets, error) {
		return func(now time.Time) (*goroutine.Sockets, error) { return kernel(now, gone, since, silent, quiet), nil }
	}
	refuses := func(time.Time) (*goroutine.Sockets, error) { return nil, errors.New("a sandbox refuses") }
	unix := func(now time.Time) (*goroutine.Sockets, error) {
		s := kernel(now, 0, 0, 0, 0)
		s.Others = 600
		return s, nil
	}
	reader := clients{handler: atReadPump}
	handler := clients{handler: atServeEvents, companion: atBackgroundRead}
	abandoned := clients{handler: atServeEvents, companion: atBackgroundRead, stay: time.Minute, share: 1}
	for name, tc := range map[string]struct {
		clients
		sockets func(time.Time) (*goroutine.Sockets, error)
		want    string
		asks    bool
	}{
		"handlers with clients":                       {handler, refuses, "connected", false},
		"handlers whose clients have gone":            {abandoned, of(600, time.Minute, 0, 0), "gone", true},
		"the kernel is not there":                     {abandoned, refuses, "gone", true},
		"they have not read their requests":           {abandoned, of(3, time.Hour, 600, time.Hour), "unknown", true},
		"net/http has closed their connections":       {abandoned, of(3, time.Hour, 30, 0), "gone", true},
		"they have not read those of a Unix socket":   {abandoned, unix, "unknown", true},
		"readers whose peers have gone":               {reader, of(600, age, 600, 0), "gone", true},
		"their peers have only just gone":             {reader, of(600, age-1, 600, 0), "unknown", true},
		"the peers of others have gone":               {reader, of(20, age, 600, 0), "unknown", true},
		"the peers of many more have gone":            {reader, of(6000, age, 0, 0), "unknown", true},
		"readers whose peers are silent":              {reader, of(0, 0, 600, age), "silent", true},
		"readers whose peers talk":                    {reader, of(0, 0, 600, age-1), "unknown", true},
		"the peers of handlers have gone":             {clients{handler: atReadPump, apart: true, companion: atServeEvents}, of(600, age, 600, 0), "unknown", true},
		"handlers have readers of their own":          {clients{handler: atHijacked, companion: atReadPump, busy: 70}, of(0, 0, 600, age), "connected", false},
		"readers in a sandbox":                        {reader, refuses, "unknown", true},
		"goroutines without a connection":             {clients{handler: atWritePump}, of(600, age, 600, age), "unknown", false},
		"writers whose readers have ended":            {clients{handler: atWritePump, companion: atReadPump, stay: 20 * time.Minute, share: 1, busy: 70}, of(0, 0, 0, 0), "gone", true},
		"writers with their readers, in the same way": {clients{handler: atWritePump, companion: atReadPump, busy: 70}, of(0, 0, 0, 0), "connected", false},
	} {
		what, why, asked := told(t, tc.clients, age, tc.sockets)
		assert.Equal(t, tc.want, what, "%s: %s", name, why)
		assert.Equal(t, tc.asks, asked, name)
		assert.Equal(t, what != "unknown", why != "", "%s: %s", name, why)
	}
}

// TestReadersBesideHandlersThatTookOverTheirConnection has tunnels whose peers have
// gone, and half as many handlers with readers of their own, whose peers are there.
func TestReadersBesideHandlersThatTookOverTheirConnection(t *testing.T) {
	for _, tc := range []struct {
		beside detectortest.Place
		reader detectortest.Place
		want   string
	}{
		{atHijacked, atOtherRead, "gone"},
		{atHijacked, detectortest.Place{}, "unknown"}, // each may hold one of the connections
	} {
		history := clients{handler: tc.beside, companion: tc.reader, busy: 70}.history(t, 1, func(p *detectortest.Process, _ int) { p.Go(atReadPump, 6) })
		pass := detectors.NewPass(history)
		pass.Sockets = func() (*goroutine.Sockets, error) { return kernel(pass.Snapshot.Time, 1440, time.Hour, 0, 0), nil }
		what, why := detectors.Peers(pass, atReadPump.Stack.ID, atReadPump.State, 1440, time.Minute)
		assert.Equal(t, tc.want, what, why)
	}
}

// TestTwoGrowthsInIOWait has readers whose peers have gone, and as many others, which
// come by themselves or belong to the same connections.
func TestTwoGrowthsInIOWait(t *testing.T) {
	for _, tc := range []struct {
		clients
		want string
	}{
		{clients{handler: atReadPump, companion: atOtherRead, apart: true, busy: 70}, "unknown"},
		{clients{handler: atReadPump, companion: atOtherRead, busy: 70}, "gone"},
	} {
		what, why, _ := told(t, tc.clients, time.Minute, func(now time.Time) (*goroutine.Sockets, error) { return kernel(now, 600, time.Hour, 0, 0), nil })
		assert.Equal(t, tc.want, what, why)
	}
}

// TestASampleIsAnEstimate has a process in which every third descriptor was looked at.
func TestASampleIsAnEstimate(t *testing.T) {
	what, _, _ := told(t, clients{handler: atReadPump}, time.Minute, func(now time.Time) (*goroutine.Sockets, error) {
		s := kernel(now, 200, time.Hour, 0, 0)
		s.Share = 1.0 / 3
		return s, nil
	})
	assert.Equal(t, "gone", what)
}

func TestNobodyTellsOfSocketsOfAnotherProcess(t *testing.T) {
	p := detectortest.NewProcess(1)
	p.Go(atReadPump, 1)
	_, err := detectors.NewPass([]*goroutine.Snapshot{p.Snapshot()}).Sockets()
	assert.ErrorIs(t, err, detectors.ErrNoSockets)
}
