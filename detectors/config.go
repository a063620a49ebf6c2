// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/otelgoroutine/go/internal/places"
)

// A configuration configures a built-in detector.
type configuration interface{ checks() []check }

// A check is the result of validating one field.
type check struct {
	field    string
	value    any
	ok       bool
	accepted string // follows "must be"
}

// configured returns d. If c is invalid, Validate and every call of Run return
// what is wrong with it.
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

// refuse makes d report err, unless err is nil.
func refuse(err error, d *Detector) *Detector {
	if err != nil {
		d.config = err
		d.Needs.History = 0
		d.Run = func(*Pass) error { return err }
	}
	return d
}

// within accepts durations from 0 to MaxHistory.
func within(field string, d time.Duration) check {
	return check{field, d, d >= 0 && d <= MaxHistory, fmt.Sprintf("0 to %v", MaxHistory)}
}

// above0 accepts durations above 0, up to MaxHistory.
func above0(field string, d time.Duration) check {
	return check{field, d, d > 0 && d <= MaxHistory, fmt.Sprintf("above 0 and at most %v", MaxHistory)}
}

func atLeast(field string, n, low int) check {
	return check{field, n, n >= low, fmt.Sprintf("at least %d", low)}
}

func between(field string, n, low, high int) check {
	return check{field, n, n >= low && n <= high, fmt.Sprintf("%d to %d", low, high)}
}

// inARow accepts numbers of consecutive snapshots: at least two, and no more
// than a history keeps without thinning.
func inARow(field string, n int) check { return between(field, n, 2, places.Whole) }

func share(field string, v float64) check {
	return check{field, v, v >= 0 && v <= 1, "0 to 1"} // not NaN
}
