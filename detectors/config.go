package detectors

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelgoroutine/go/internal/places"
)

// A configuration is that of a built-in detector.
type configuration interface{ checks() []check }

// A check is whether the value of a field can be, and what can.
type check struct {
	field    string
	value    any
	ok       bool
	accepted string // follows "must be"
}

// configured returns d, or a detector that says what is wrong with its
// configuration: to Validate, and to a caller that runs it all the same.
func configured(c configuration, d *Detector) *Detector {
	name := strings.TrimPrefix(fmt.Sprintf("%T", c), "detectors.")
	var errs []error
	for _, ch := range c.checks() {
		if !ch.ok {
			errs = append(errs, fmt.Errorf("%s.%s is %v; must be %s", name, ch.field, ch.value, ch.accepted))
		}
	}
	return refuse(errors.Join(errs...), d)
}

// refuse makes d report an error unless that is nil.
func refuse(err error, d *Detector) *Detector {
	if err != nil {
		d.config = err
		d.Needs.History = 0
		d.Run = func(*Pass) error { return err }
	}
	return d
}

// within accepts times from 0 to what a history can hold.
func within(field string, d time.Duration) check {
	return check{field, d, d >= 0 && d <= MaxHistory, fmt.Sprintf("0 to %v", MaxHistory)}
}

// above0 accepts the same but 0.
func above0(field string, d time.Duration) check {
	return check{field, d, d > 0 && d <= MaxHistory, fmt.Sprintf("above 0 and at most %v", MaxHistory)}
}

func atLeast(field string, n, low int) check {
	return check{field, n, n >= low, fmt.Sprintf("at least %d", low)}
}

func between(field string, n, low, high int) check {
	return check{field, n, n >= low && n <= high, fmt.Sprintf("%d to %d", low, high)}
}

// inARow accepts how many snapshots a condition may have to hold in: two or
// more, of which a history keeps all.
func inARow(field string, n int) check { return between(field, n, 2, places.Whole) }

func share(field string, v float64) check {
	return check{field, v, v >= 0 && v <= 1, "0 to 1"} // not NaN
}
