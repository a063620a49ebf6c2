// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"runtime/trace"
	"time"

	"go.opentelemetry.io/otel/log"

	"github.com/otelgoroutine/go/detectors"
)

// Limits of the options. Start returns an error for values outside these limits.
const (
	MinInterval  = 100 * time.Millisecond
	MaxInterval  = time.Hour
	MaxTopStacks = 400 // with the series that fade out, within the 2,000 that SDKs allow an instrument
	MaxProfiles  = 10_000
	MaxLabelKeys = 8
	maxLabelKey  = 64 // bytes
)

// A Budget limits what snapshots may cost the service. Captures that would
// exceed it are delayed or skipped, and counted.
type Budget struct {
	// CPU is the share of one core that snapshots may use, averaged over minutes:
	// 0.005 is half a percent. Above 0, at most 1.
	CPU float64

	// Pause is the longest predicted stop of the world that a capture may cause.
	// Above 0, at most one second. Traces and profiles stop the world for a fraction
	// of a millisecond, regardless of the number of goroutines. A goroutine dump
	// stops it for some 10 µs per goroutine. Dumps are taken on a suspicion, and in
	// the place of traces while none can be taken: then Pause decides up to how many
	// goroutines there are IDs, and so verdicts.
	Pause time.Duration
}

// A Source says how the regular snapshots are taken.
type Source int

const (
	// SourceAuto takes snapshots from the first of these that is available:
	//
	//   - the recording of a flight recorder handed over with [WithFlightRecorder],
	//     while it is running
	//   - an execution trace, where the process can bear one and while the program
	//     takes none of its own, with trace.Start, /debug/pprof/trace, a profiler or
	//     a flight recorder
	//   - a goroutine dump, while its predicted stop of the world is within
	//     Budget.Pause
	//   - a goroutine profile
	//
	// All but the profile have goroutine IDs and full stacks.
	SourceAuto Source = iota
	// SourceProfileOnly takes goroutine profiles only and never uses the tracer.
	// Without goroutine IDs there are no ages, and the detectors that need
	// IDs (leak and deadlock) do not run.
	SourceProfileOnly
)

func (s Source) String() string {
	switch s {
	case SourceAuto:
		return "SourceAuto"
	case SourceProfileOnly:
		return "SourceProfileOnly"
	}
	return fmt.Sprintf("Source(%d)", int(s))
}

// config is the configuration of a monitor.
type config struct {
	loggerProvider log.LoggerProvider
	interval       time.Duration
	topStacks      int
	detectors      []*detectors.Detector
	budget         Budget
	source         Source
	profileDir     string
	profileKeep    int
	period         time.Duration // between profiles; 0: none are saved
	periodKeep     int
	archive        func(context.Context, File) error
	exporter       func(context.Context, File) error // of profiles
	signals        <-chan os.Signal
	known          []detectors.KnownStack
	labelKeys      []string
	findingLabels  []string
	leakProof      bool
	recorder       *trace.FlightRecorder
	logger         *slog.Logger
	functions      []func(detectors.Event)
	capturer       capturer       // for tests; nil: the runtime
	early          func() float64 // of the metronome; for tests, otherwise random

	handover      bool
	noEnvironment bool
	settings      []assignment // of WithSettings
	off           bool         // nothing is to be observed

	errs []error
}

// An Option changes how [Start] observes.
type Option interface{ apply(*config) }

type optionFunc func(*config)

func (f optionFunc) apply(c *config) { f(c) }

func newConfig(opts []Option) (config, error) {
	c := config{
		interval:  15 * time.Second,
		topStacks: 20,
		detectors: detectors.Default(),
		budget:    Budget{CPU: 0.005, Pause: 10 * time.Millisecond},
		early:     rand.Float64,
	}
	for i, o := range opts {
		if o == nil {
			c.refuse("option %d is nil", i)
			continue
		}
		o.apply(&c)
	}
	if c.operate(); c.off {
		return c, nil
	}
	c.together()
	return c, errors.Join(c.errs...)
}

// together refuses options that contradict each other.
func (c *config) together() {
	if c.recorder != nil && c.source == SourceProfileOnly {
		c.refuse("WithFlightRecorder and WithSource(SourceProfileOnly): one says to take snapshots from a recording, the other to take goroutine profiles only; leave one out")
	}
	c.checkFiles()
}

func (c *config) refuse(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("otelgoroutine: "+format, args...))
}

// WithLoggerProvider sets where events go. The default is
// otel.GetLoggerProvider, the global one. While it is not set up, and there are neither
// a logger ([WithLogger]) nor a function ([WithEventFunc]), events go to slog's default
// logger; where both providers are OpenTelemetry's no-ops, they go nowhere.
func WithLoggerProvider(lp log.LoggerProvider) Option {
	return optionFunc(func(c *config) {
		if isNil(lp) {
			c.refuse("WithLoggerProvider(nil): a provider is needed; leave the option out to use the global one")
			return
		}
		c.loggerProvider = lp
	})
}

// WithInterval sets the time between snapshots, from [MinInterval] to
// [MaxInterval]. The default is 15 s. Within the budget, the time that really passes
// follows what there is to see:
//
//   - While a detector suspects a fault that more snapshots would tell sooner, it is
//     a third of the interval, but at least a second. A suspicion has at most 36 such
//     snapshots, three minutes of them by default.
//   - While the process is quiet, it is up to three intervals: if the last twelve
//     snapshots showed nothing new and no finding is open, and for as long as the
//     runtime counts as many goroutines as before and creates hardly any. A process whose snapshots, findings or status were asked for in the last
//     ten minutes, as by its live page, does not count as quiet.
//
// These are averages: each snapshot comes up to 2.5 s early, less at intervals under
// 15 s, at random, so that a loop with a ticker does not keep step with them.
//
// Between the first two there are early ones, each after twice the time of the one
// before: after 1, 3 and 7 s by default, if the budget covers them. They are shown, and
// no detector judges them. With an interval over 10 min there are none.
//
// The budget may extend it: a snapshot of a busy process takes about 10 ms, which is
// 1 % of a core when one is taken every second. Snapshots skipped for the budget are
// counted in goroutine.snapshot.skipped. Until the next one, the metrics show the last
// snapshot.
//
// By default, a lock's queue that stands is seen for the first time after at most
// 48 s. With longer intervals, everything takes longer in proportion.
func WithInterval(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d < MinInterval || d > MaxInterval {
			c.refuse("WithInterval(%v): the interval must be %v to %v", d, MinInterval, MaxInterval)
		}
		c.interval = d
	})
}

// WithTopStacks sets the number of stacks with their own metric series, from 1
// to [MaxTopStacks]. The default is 20. The other stacks are counted together.
func WithTopStacks(n int) Option {
	return optionFunc(func(c *config) {
		if n < 1 || n > MaxTopStacks {
			c.refuse("WithTopStacks(%d): the number must be 1 to %d", n, MaxTopStacks)
		}
		c.topStacks = n
	})
}

// WithDetectors replaces the default detectors, [detectors.Default]. Without
// arguments there are no detectors, only metrics.
func WithDetectors(ds ...*detectors.Detector) Option {
	return optionFunc(func(c *config) {
		if err := detectors.Validate(ds); err != nil {
			c.refuse("WithDetectors: %w", err)
		}
		c.detectors = append([]*detectors.Detector(nil), ds...)
	})
}

// WithBudget sets what snapshots may cost. The default is half a percent of one
// core and a predicted stop of 10 ms.
func WithBudget(b Budget) Option {
	return optionFunc(func(c *config) {
		if !(b.CPU > 0 && b.CPU <= 1) {
			c.refuse("WithBudget: CPU is %v; it must be a share of one core, above 0 and at most 1", b.CPU)
		}
		if b.Pause <= 0 || b.Pause > time.Second {
			c.refuse("WithBudget: Pause is %v; it must be above 0 and at most 1s", b.Pause)
		}
		c.budget = b
	})
}

// WithSource sets how the regular snapshots are taken. The default is
// [SourceAuto].
func WithSource(s Source) Option {
	return optionFunc(func(c *config) {
		if s != SourceAuto && s != SourceProfileOnly {
			c.refuse("WithSource(%v): the source must be SourceAuto or SourceProfileOnly", s)
		}
		c.source = s
	})
}

// WithProfileDir saves a pprof goroutine profile into dir whenever something is
// detected, named after the detector and the time, and keeps the newest keep of
// them, from 1 to [MaxProfiles]. The event has the path. The profile is written
// from the current snapshot, without another capture. dir must exist.
//
// [WithPeriodicProfiles] and [Monitor.Capture] save into dir as well; of each kind of
// file and each cause, the newest are kept apart. [WithArchive] hands the files on, and
// [WithProfileExporter] the profiles.
//
// Only files that this monitor has written are removed. Those of another service or
// of an earlier run of this one stay.
func WithProfileDir(dir string, keep int) Option {
	return optionFunc(func(c *config) {
		if err := checkDir(dir); err != nil {
			c.refuse("WithProfileDir(%q, %d): %w", dir, keep, err)
		}
		if keep < 1 || keep > MaxProfiles {
			c.refuse("WithProfileDir(%q, %d): keep must be 1 to %d", dir, keep, MaxProfiles)
		}
		c.profileDir, c.profileKeep = dir, keep
	})
}

// WithFlightRecorder takes snapshots from the recording of a flight recorder that
// the program runs, instead of traces of our own, for which there is no room beside
// it. They have goroutine IDs, so that every detector judges. With [WithProfileDir],
// the recording, and so the seconds before the incident, is saved beside the profile
// whenever something is detected: a file of up to about the recorder's MaxBytes, of
// which the newest are kept, as many as profiles. It opens in go tool trace.
//
// The program starts and stops the recorder. While it is not running, snapshots are
// taken as without this option. A new(trace.FlightRecorder) will do, but it keeps
// only what happened since the last second or the last snapshot began; one from
// trace.NewFlightRecorder keeps ten seconds. The runtime does not synchronize the
// start and the stop of a recorder with its other methods, which the race detector
// reports: start it before [Start], and call [Monitor.Shutdown] before stopping it.
//
// A recorder writes one recording at a time. While we write it, once for each
// snapshot and for some milliseconds, the program's own call of its WriteTo returns
// the error "already in progress": try again a moment later.
func WithFlightRecorder(r *trace.FlightRecorder) Option {
	return optionFunc(func(c *config) {
		if r == nil {
			c.refuse("WithFlightRecorder(nil): a recorder is needed; leave the option out if the program has none")
		}
		c.recorder = r
	})
}

// WithKnownStacks adds to the stacks that wait by design, [detectors.KnownGood]:
// the detectors ignore them. Each needs a name, a reason and a condition: a predicate,
// which runs on the monitor's goroutine, or a creator or label (see
// [detectors.KnownStack]). [detectors.ReadExclusions] reads a list from a file. An
// entry that matches nothing for a day is reported once to the error handler of
// OpenTelemetry, so that lists do not rot: in a list, with the others of that day, of
// which the first ten are named.
func WithKnownStacks(stacks ...detectors.KnownStack) Option {
	return optionFunc(func(c *config) {
		for i, k := range stacks {
			if err := k.Validate(); err != nil {
				c.refuse("WithKnownStacks: entry %d (%q): %w", i, k.Name, err)
			}
		}
		c.known = append(c.known, stacks...)
	})
}

// WithLabelKeys adds pprof labels with these keys, at most [MaxLabelKeys], to
// goroutine.stack.goroutine.count as attributes goroutine.label.<key>, with
// values cut at 128 bytes. Because traces have no labels, goroutines are then
// counted in a goroutine profile, which is taken in addition to the regular
// snapshot at about twice its cost. Choose labels with few values: each
// combination counts as a separate stack.
func WithLabelKeys(keys ...string) Option {
	return optionFunc(func(c *config) {
		c.checkLabelKeys("WithLabelKeys", keys)
		c.labelKeys = append([]string(nil), keys...)
	})
}

// WithLeakProof lets a suspected leak be confirmed by the runtime's own proof,
// the goroutineleak profile, which came with Go 1.27 (and with Go 1.26 when
// built with GOEXPERIMENT=goroutineleakprofile). It runs only on a suspicion, at
// most once in forty intervals or ten minutes, whichever is less, and only when its
// predicted cost is within the budget.
// It forces a garbage collection. Goroutines that have not moved for an hour are
// a suspicion as well, so that a single leaked goroutine is found; for these the
// proof runs at most once an hour.
//
// It is off by default because it can end the process: if a goroutine that the
// runtime found to be leaked is woken nevertheless, the process ends with "fatal
// error: bad g->status in ready". Go 1.27.4 has no guard against that: the mark stays
// until the next proof, garbage collections in between do not remove it. Go code can wake such a goroutine when the
// only way to its channel leads through a weak.Pointer or a pointer kept as
// uintptr. This cannot be detected beforehand: do not use this option in a
// program that, itself or in its libraries, reaches channels or locks through
// weak pointers. Packages that park goroutines themselves, as gVisor does, are
// recognized, and the proof is then refused.
func WithLeakProof() Option {
	return optionFunc(func(c *config) { c.leakProof = true })
}
