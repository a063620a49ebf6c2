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

// told returns what is said of the clients of c when the kernel tells of sockets.
func told(t *testing.T, c clients, age time.Duration, sockets func(now time.Time) (*goroutine.Sockets, error)) (what, why string, asked bool) {
	t.Helper()
	history := c.history(t, 1, nil)
	p := detectors.NewPass(history)
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
		"readers whose peers have gone":               {reader, of(600, age, 600, 0), "gone", true},
		"their peers have only just gone":             {reader, of(600, age-1, 600, 0), "unknown", true},
		"the peers of others have gone":               {reader, of(20, age, 600, 0), "unknown", true},
		"the peers of many more have gone":            {reader, of(6000, age, 0, 0), "unknown", true},
		"readers whose peers are silent":              {reader, of(0, 0, 600, age), "silent", true},
		"readers whose peers talk":                    {reader, of(0, 0, 600, age-1), "unknown", true},
		"readers in a sandbox":                        {reader, refuses, "unknown", true},
		"goroutines without a connection":             {clients{handler: atWritePump}, of(600, age, 600, age), "unknown", false},
		"writers whose readers have ended":            {clients{handler: atWritePump, companion: atReadPump, stay: 20 * time.Minute, share: 1, busy: 200}, of(0, 0, 0, 0), "gone", true},
		"writers with their readers, in the same way": {clients{handler: atWritePump, companion: atReadPump, busy: 200}, of(0, 0, 0, 0), "connected", false},
	} {
		what, why, asked := told(t, tc.clients, age, tc.sockets)
		assert.Equal(t, tc.want, what, "%s: %s", name, why)
		assert.Equal(t, tc.asks, asked, name)
		assert.NotEmpty(t, why, name)
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
