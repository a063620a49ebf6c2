// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"fmt"
	"sync"
	"time"
)

// An allowance is how long one capture may take, and how much memory. The capture is
// over when its time has passed, or when end is called. The methods are safe for
// concurrent use. A nil allowance has no bounds.
type allowance struct {
	room  int64 // bytes
	at    time.Time
	once  sync.Once
	ended chan struct{} // closed by end
}

func newAllowance(after time.Duration, room int64) *allowance {
	return &allowance{room: room, at: time.Now().Add(after), ended: make(chan struct{})}
}

// most returns how many bytes a buffer of the capture may have, of at most this
// many.
func (a *allowance) most(bytes int) int {
	if a == nil {
		return bytes
	}
	return int(min(int64(bytes), a.room))
}

// affords refuses a capture that is predicted to need more memory than it may take.
func (a *allowance) affords(bytes int64) *Refusal {
	if a == nil || bytes <= a.room {
		return nil
	}
	return refuse(ReasonMemory, "the predicted memory is %s; %s is allowed, a share of what the limit leaves", inMiB(bytes), inMiB(a.room))
}

// inMiB formats a number of bytes.
func inMiB(bytes int64) string { return fmt.Sprintf("%.3g MiB", float64(bytes)/(1<<20)) }

func (a *allowance) end() {
	if a != nil {
		a.once.Do(func() { close(a.ended) })
	}
}

// done returns a channel that is closed by end.
func (a *allowance) done() <-chan struct{} {
	if a == nil {
		return nil
	}
	return a.ended
}

// left returns how much time is left, and a day if there is no bound.
func (a *allowance) left() time.Duration {
	if a == nil {
		return 24 * time.Hour
	}
	return time.Until(a.at)
}

// over reports whether the capture has to end.
func (a *allowance) over() bool {
	if a == nil {
		return false
	}
	select {
	case <-a.ended:
		return true
	default:
		return !time.Now().Before(a.at)
	}
}

// err returns the refusal of a capture that has to end, or nil.
func (a *allowance) err() error {
	if !a.over() {
		return nil
	}
	return refuse(ReasonLate, "it took too long and was ended")
}
