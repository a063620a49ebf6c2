package otelgoroutine

import (
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/log"

	"github.com/otelgoroutine/go/detectors"
)

// Limits of the options. Start refuses values outside.
const (
	MinInterval  = 100 * time.Millisecond
	MaxInterval  = time.Hour
	MaxTopStacks = 400 // with the series that fade out, within the 2,000 that SDKs allow an instrument
	MaxProfiles  = 10_000
	MaxLabelKeys = 8
	maxLabelKey  = 64 // bytes
)

// A Budget is what snapshots may cost the service. Captures that would exceed
// it wait or do not happen, and are counted.
type Budget struct {
	// CPU is the share of one core that snapshots may use, averaged over
	// minutes: 0.005 is half a percent. Over 0, at most 1.
	CPU float64

	// Pause is the longest stop of the world that a capture may be predicted
	// to cause. The regular snapshots stop it for a fraction of a
	// millisecond whatever the number of goroutines; the budget is for those
	// taken on a suspicion. Over 0, at most one second.
	Pause time.Duration
}

// A Source says how the regular snapshots are taken.
type Source int

const (
	// SourceAuto takes execution traces, which have goroutine IDs, exact
	// states and full stacks, and the goroutine profile where those cannot
	// be had.
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

// config is what Start was told.
type config struct {
	loggerProvider log.LoggerProvider
	interval       time.Duration
	topStacks      int
	detectors      []*detectors.Detector
	budget         Budget
	source         Source
	profileDir     string
	profileKeep    int
	known          []detectors.KnownStack
	labelKeys      []string
	leakProof      bool
	capturer       capturer // for tests; nil: the runtime

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
	}
	for i, o := range opts {
		if o == nil {
			c.refuse("option %d is nil", i)
			continue
		}
		o.apply(&c)
	}
	return c, errors.Join(c.errs...)
}

func (c *config) refuse(format string, args ...any) {
	c.errs = append(c.errs, fmt.Errorf("otelgoroutine: "+format, args...))
}

// WithLoggerProvider sets where events go. The default is
// otel.GetLoggerProvider, the global one.
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
// [MaxInterval]. The default is 15 s. The budget may stretch it: a snapshot of
// a busy process takes some 10 ms, which is 1 % of a core when it is taken
// every second. What is stretched is counted in goroutine.snapshot.skipped,
// and the metrics show the last snapshot meanwhile.
func WithInterval(d time.Duration) Option {
	return optionFunc(func(c *config) {
		if d < MinInterval || d > MaxInterval {
			c.refuse("WithInterval(%v): the interval must be %v to %v", d, MinInterval, MaxInterval)
		}
		c.interval = d
	})
}

// WithTopStacks sets how many stacks have series of their own, from 1 to
// [MaxTopStacks]. The default is 20. The others are counted together.
func WithTopStacks(n int) Option {
	return optionFunc(func(c *config) {
		if n < 1 || n > MaxTopStacks {
			c.refuse("WithTopStacks(%d): the number must be 1 to %d", n, MaxTopStacks)
		}
		c.topStacks = n
	})
}

// WithDetectors replaces the detectors, which are [detectors.Default] unless
// told otherwise. Without arguments nothing is detected: metrics only.
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

// WithProfileDir saves a pprof goroutine profile into dir whenever something
// is detected, named after the detector and the time, and keeps the newest
// keep of them, from 1 to [MaxProfiles]. The event says the path. The profile
// is written from the snapshot at hand: nothing is captured for it. dir must
// exist.
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

// WithKnownStacks adds to the stacks that wait by design, [detectors.KnownGood]:
// the detectors pass over them. Each needs a name, a reason and a predicate,
// which runs on the monitor's goroutine.
func WithKnownStacks(stacks ...detectors.KnownStack) Option {
	return optionFunc(func(c *config) {
		for i, k := range stacks {
			if k.Name == "" || k.Reason == "" || k.Match == nil {
				c.refuse("WithKnownStacks: entry %d (%q) needs a Name, a Reason and a Match function", i, k.Name)
			}
		}
		c.known = append(c.known, stacks...)
	})
}

// WithLabelKeys adds pprof labels with these keys, at most [MaxLabelKeys], to
// goroutine.stack.goroutine.count as attributes goroutine.label.<key>, with
// values cut at 128 bytes. Goroutines are then counted in a goroutine profile, taken beside the regular snapshot at about twice its
// cost, because traces have no labels. Choose labels with few values: each
// combination is a stack of its own.
func WithLabelKeys(keys ...string) Option {
	return optionFunc(func(c *config) {
		if len(keys) == 0 || len(keys) > MaxLabelKeys {
			c.refuse("WithLabelKeys: there are %d keys; there must be 1 to %d", len(keys), MaxLabelKeys)
		}
		for _, k := range keys {
			if k == "" || len(k) > maxLabelKey {
				c.refuse("WithLabelKeys: key %q has %d bytes; it must have 1 to %d", k, len(k), maxLabelKey)
			}
		}
		c.labelKeys = append([]string(nil), keys...)
	})
}

// WithLeakProof lets a suspected leak be confirmed by the runtime's own proof,
// the goroutineleak profile, which came with Go 1.27 (and with Go 1.26 when
// built with GOEXPERIMENT=goroutineleakprofile). It runs on a suspicion only,
// at most every ten minutes, and when its predicted cost is within the budget.
// It forces a garbage collection. That goroutines have stood still for an hour
// is a suspicion too, so that a single leaked goroutine is found; for those it
// runs once an hour at most.
//
// It is off unless asked for, because it can end the process: a goroutine that
// the runtime found to be leaked, and that is woken all the same, ends in
// "fatal error: bad g->status in ready". Go code can wake such a goroutine
// when the only way to its channel leads through a weak.Pointer or a pointer
// kept as uintptr. Nothing can see that beforehand: do not use this option in
// a program that, itself or in its libraries, reaches channels or locks
// through weak pointers. Packages that park goroutines themselves, as gVisor
// does, are recognized, and the proof is then refused.
func WithLeakProof() Option {
	return optionFunc(func(c *config) { c.leakProof = true })
}
