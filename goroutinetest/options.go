// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinetest

import (
	"errors"
	"fmt"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/otelgoroutine"
)

const (
	// usualInterval is the time between snapshots at the usual scale. It is that of
	// the monitor, with which the detectors were tried.
	usualInterval = 15 * time.Second
	// minScale is how far times can be shortened: the interval then is the shortest one.
	minScale = 0.01
)

// watched are the detectors that Watch runs unless told otherwise: those whose
// findings are faults of a program. The others tell of load, which a test may make on
// purpose (pileup, surge, contention, growth), or of a process at rest (stall).
var watched = map[string]bool{"hang": true, "leak": true, "deadlock": true, "blocked_forever": true}

// budget is what snapshots may cost a test.
var budget = otelgoroutine.Budget{CPU: 0.25, Pause: 100 * time.Millisecond}

// config is the configuration of a watcher.
type config struct {
	detectors  []*detectors.Detector // nil: the watched ones
	confidence detectors.Confidence
	interval   time.Duration // 0: usualInterval
	scale      float64       // 0: 1
	known      []detectors.KnownStack

	errs []error
}

// An Option changes how [Watch] watches.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) (config, error) {
	c := config{confidence: detectors.Suspected}
	for i, o := range opts {
		if o == nil {
			c.refuse("option %d is nil", i)
			continue
		}
		o.apply(&c)
	}
	if c.detectors != nil && c.scale != 0 {
		c.refuse("WithScale and WithDetectors: the scale is that of the default detectors; pass detectors.Scaled to WithDetectors instead")
	}
	return c, errors.Join(c.errs...)
}

func (c *config) refuse(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("goroutinetest: "+format, args...))
}

// scaled returns a time at the scale of c.
func (c *config) scaled(d time.Duration) time.Duration {
	if c.scale == 0 {
		return d
	}
	return time.Duration(c.scale * float64(d))
}

// monitor returns the options of the monitor, apart from providers.
func (c *config) monitor() []otelgoroutine.Option {
	interval := c.interval
	if interval == 0 {
		interval = max(c.scaled(usualInterval), otelgoroutine.MinInterval)
	}
	return []otelgoroutine.Option{
		otelgoroutine.WithoutEnvironment(), // an operator's setting must not blind a test
		otelgoroutine.WithInterval(interval),
		otelgoroutine.WithBudget(budget),
		otelgoroutine.WithDetectors(c.all()...),
		otelgoroutine.WithKnownStacks(c.known...),
	}
}

// all returns the detectors.
func (c *config) all() (ds []*detectors.Detector) {
	if c.detectors != nil {
		return c.detectors
	}
	scale := c.scale
	if scale == 0 {
		scale = 1
	}
	for _, d := range detectors.Scaled(scale) {
		if watched[d.Name] {
			ds = append(ds, d)
		}
	}
	return ds
}

// WithDetectors replaces the detectors. The default are "hang", "leak", "deadlock" and
// "blocked_forever" of [detectors.Default]. At least one is needed. The interval stays
// as it is: set [WithInterval] to a time that suits the detectors, for those of
// [detectors.Scaled] the same part of 15 s.
func WithDetectors(ds ...*detectors.Detector) Option {
	return optionFunc(func(c *config) {
		if len(ds) == 0 {
			c.refuse("WithDetectors(): at least one detector is needed")
		}
		c.detectors = append([]*detectors.Detector(nil), ds...) // the monitor validates them
	})
}

// WithConfidence sets the lowest confidence of findings that fail the test. The default
// is [detectors.Suspected]. Sound programs may have findings below that: a lock that is
// held for a minute on purpose is [detectors.Medium].
func WithConfidence(lowest detectors.Confidence) Option {
	return optionFunc(func(c *config) {
		if lowest < detectors.Info || lowest > detectors.Certain {
			c.refuse("WithConfidence(%v): the confidence must be detectors.Info to detectors.Certain", lowest)
		}
		c.confidence = lowest
	})
}

// WithInterval sets the time between snapshots, from [otelgoroutine.MinInterval] to
// [otelgoroutine.MaxInterval]. The default is 15 s, times the scale, but at least
// otelgoroutine.MinInterval.
func WithInterval(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d < otelgoroutine.MinInterval || d > otelgoroutine.MaxInterval {
			c.refuse("WithInterval(%v): the interval must be %v to %v", d, otelgoroutine.MinInterval, otelgoroutine.MaxInterval)
		}
		c.interval = d
	})
}

// WithScale multiplies all times of the default detectors, and the interval, by a factor
// from 0.01 to 1. With 0.1, a deadlock or a hang must stand for six seconds, and a leak
// must grow for one and a half to four and a half minutes after a warm-up of one. What
// the test does must be as much faster than in production: a pool that fills up in that
// time, a lock that is held or a stream that stays for that long is taken for a fault.
func WithScale(factor float64) Option {
	return optionFunc(func(c *config) {
		if !(factor >= minScale && factor <= 1) { // also NaN
			c.refuse("WithScale(%v): the factor must be %v to 1", factor, minScale)
		}
		c.scale = factor
	})
}

// WithKnownStacks adds stacks that wait by design, which are ignored, as the option of
// the same name of otelgoroutine does: the same list can serve tests and production.
func WithKnownStacks(stacks ...detectors.KnownStack) Option {
	return optionFunc(func(c *config) { c.known = append(c.known, stacks...) }) // the monitor validates them
}
