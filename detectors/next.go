package detectors

import (
	"strings"

	"github.com/otelgoroutine/go/goroutine"
)

func (f *Finding) advise(next string) {
	f.Advice = strings.ToUpper(next[:1]) + next[1:]
}

// whoWakes says what to look at where goroutines in state s are never woken.
func whoWakes(s goroutine.State) string {
	switch s {
	case goroutine.ChanSend:
		return "see who should receive here, and on which path it returns without: an error, a timeout, the first result of several."
	case goroutine.ChanReceive:
		return "see who should send or close here, and on which path it returns without."
	case goroutine.Select:
		return "see what should end this select, a context or a channel, and on which path it is never cancelled or closed."
	case goroutine.CondWait:
		return "see who should signal, and whether that can come before the wait."
	case goroutine.WaitGroupWait:
		return "see whether each Add has its Done, also on errors and panics."
	}
	if s.Lock() {
		return whoHolds
	}
	return "see who should wake the goroutines here."
}

const whoHolds = "see who holds the lock: a path that returns without unlocking, locks again, or waits for others meanwhile. The saved profile or /debug/pprof/goroutine?debug=1 shows all stacks."
