package capture

import (
	"errors"
	"fmt"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A source takes snapshots of this process, in one way.
type source interface {
	name() goroutine.Source
	// take takes one. An error of type *Refusal says why it could not; any
	// other is unexpected. A result beside an error has the cost alone.
	take() (result, error)
}

// A result is what a source gives.
type result struct {
	*goroutine.Snapshot
	locks  []parse.Lock  // that goroutines wait for, of a goroutine dump
	stop   time.Duration // of the world, where it grows with the number of goroutines
	idle   time.Duration // spent waiting while it was taken
	traced time.Duration // CPU time that the program spent meanwhile on being traced
}

// guarded asks a source and turns whatever goes wrong, panics included, into a
// refusal.
func guarded(s source) (r result, refusal *Refusal) {
	defer func() {
		if p := recover(); p != nil {
			r, refusal = result{}, &Refusal{Reason: ReasonError, Err: fmt.Errorf("%s: panic: %v", s.name(), p)}
		}
	}()
	r, err := s.take()
	if err == nil || errors.As(err, &refusal) {
		return r, refusal
	}
	return r, &Refusal{Reason: ReasonError, Err: err}
}
