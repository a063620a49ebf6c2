// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package watch is what detection and goroot have in common: a monitor whose
// times are scaled, what it told, what the runtime itself takes for leaked, and
// the flags of both programs.
package watch

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"regexp"
	"runtime"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/pprof/profile"
	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"

	"github.com/otelgoroutine/go/bench/internal/lab"
	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/internal/telemetry"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// LeastRecall is the share of the faults to be found.
const LeastRecall = 0.95

// A Finding is what the monitor told, in an event or as open at the end.
type Finding struct {
	At         time.Duration // since the start of the monitor; 0 for those open at the end
	Detector   string
	Confidence string
	Function   string // code.function.name
	Count      int
	Message    string
	ID         string   // of the incident
	Text       string   // message, evidence and advice: what is said to people
	Frames     []string // the functions of its stack, the leaf first
	Resolved   bool     // this is the event of an end
}

// From returns a finding of the monitor, without a time.
func From(f *detectors.Finding) Finding {
	return Finding{
		Detector:   f.Detector,
		Confidence: f.Confidence.String(),
		Function:   f.Stack.User().Function,
		Count:      f.Count,
		Message:    f.Message,
		ID:         f.ID,
		Frames:     framesOf(f.Stack.Text(longestTrace)),
		Text:       strings.Join(append(slices.Concat([]string{f.Message}, f.Evidence), f.Advice), "\n"),
	}
}

// longestTrace bounds a stack trace, as events do.
const longestTrace = 16 << 10

// framesOf returns the functions of a stack trace: every other line, with
// "(...)" at its end.
func framesOf(trace string) (functions []string) {
	for line := range strings.Lines(trace) {
		if function, ok := strings.CutSuffix(strings.TrimSpace(line), "(...)"); ok && line[0] != '\t' {
			functions = append(functions, function)
		}
	}
	return functions
}

// AtLeast reports whether the finding has a confidence or more.
func (f *Finding) AtLeast(confidence string) bool { return level(f.Confidence) >= level(confidence) }

// IsError reports whether the severity of the finding is ERROR.
func (f *Finding) IsError() bool { return level(f.Confidence) > int(detectors.Suspected) }

// level is the order of a confidence, 0 when there is none of that name.
func level(confidence string) int {
	for _, c := range detectors.Confidences() {
		if c.String() == confidence {
			return int(c)
		}
	}
	return 0
}

// A Log is a log processor that keeps the events of findings.
type Log struct {
	Began time.Time // times of findings are since then

	mu       sync.Mutex
	findings []Finding
}

// Findings returns what was told so far, without ends.
func (l *Log) Findings() []Finding { return l.told(false) }

// Ends returns the ends that were told so far.
func (l *Log) Ends() []Finding { return l.told(true) }

func (l *Log) told(resolved bool) []Finding {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(l.findings), func(f Finding) bool { return f.Resolved != resolved })
}

// Enabled says that all records are wanted.
func (l *Log) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }

// OnEmit keeps a record whose event name says that something was detected, or
// has ended.
func (l *Log) OnEmit(_ context.Context, r *sdklog.Record) error {
	resolved := strings.HasSuffix(r.EventName(), ".resolved")
	if !resolved && !strings.HasSuffix(r.EventName(), ".detected") {
		return nil
	}
	f := Finding{At: r.Timestamp().Sub(l.Began), Message: r.Body().AsString(), Text: r.Body().AsString(), Resolved: resolved}
	r.WalkAttributes(func(kv attribute.KeyValue) bool {
		f.read(kv)
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	l.findings = append(l.findings, f)
	return nil
}

// read takes over one attribute.
func (f *Finding) read(kv attribute.KeyValue) {
	switch kv.Key {
	case telemetry.AttrDetectorName:
		f.Detector = kv.Value.AsString()
	case telemetry.AttrConfidence:
		f.Confidence = kv.Value.AsString()
	case telemetry.AttrCodeFunctionName:
		f.Function = kv.Value.AsString()
	case telemetry.AttrFindingCount:
		f.Count = int(kv.Value.AsInt64())
	case telemetry.AttrFindingID:
		f.ID = kv.Value.AsString()
	case telemetry.AttrCodeStacktrace:
		f.Frames = framesOf(kv.Value.AsString())
	case telemetry.AttrEvidence:
		f.Text += "\n" + strings.Join(kv.Value.AsStringSlice(), "\n")
	case telemetry.AttrAdvice:
		f.Text += "\n" + kv.Value.AsString()
	}
}

// Shutdown does nothing.
func (l *Log) Shutdown(context.Context) error { return nil }

// ForceFlush does nothing.
func (l *Log) ForceFlush(context.Context) error { return nil }

// interval is the default time between snapshots of the monitor.
const interval = 15 * time.Second

// leastScale scales interval to a little more than otelgoroutine.MinInterval.
const leastScale = 0.007

// Options are those of a monitor whose times are scaled and that tells l, with
// the default detectors and more. At a scale of 1 interval and budget are the
// defaults.
func (l *Log) Options(scale float64, proof bool, more ...*detectors.Detector) []otelgoroutine.Option {
	options := []otelgoroutine.Option{
		otelgoroutine.WithLoggerProvider(sdklog.NewLoggerProvider(sdklog.WithProcessor(l))),
		otelgoroutine.WithDetectors(append(detectors.Scaled(scale), more...)...),
	}
	if scale < 1 {
		options = append(options,
			otelgoroutine.WithInterval(time.Duration(scale*float64(interval))),
			otelgoroutine.WithBudget(otelgoroutine.Budget{CPU: 1, Pause: time.Second})) // the interval is scaled, the cost is not
	}
	if proof {
		options = append(options, otelgoroutine.WithLeakProof())
	}
	return options
}

// For keeps the calling goroutine in a wait that no detector takes for that of
// the program under test.
func For(d time.Duration) {
	var end sync.WaitGroup
	end.Add(1)
	time.AfterFunc(d, end.Done)
	end.Wait()
}

// ErrNoProof says that this runtime cannot be asked what is leaked: it is
// Go 1.26 without GOEXPERIMENT=goroutineleakprofile.
var ErrNoProof = errors.New("this runtime has no profile goroutineleak")

// A Group is goroutines of one stack that can never go on.
type Group struct {
	Count     int
	Functions []string // the leaf first
}

// Leaked asks the runtime which goroutines of this process can never go on. It
// stops the world, and goroutines that the runtime takes for leaked must not be
// woken afterwards.
func Leaked() (all []Group, err error) {
	proof := pprof.Lookup("goroutineleak")
	if proof == nil {
		return nil, ErrNoProof
	}
	var b bytes.Buffer
	if err := proof.WriteTo(&b, 0); err != nil {
		return nil, err
	}
	p, err := profile.Parse(&b)
	if err != nil {
		return nil, err
	}
	for _, s := range p.Sample {
		if s.Value[0] > 0 {
			all = append(all, Group{Count: int(s.Value[0]), Functions: functionsOf(s)})
		}
	}
	return all, nil
}

func functionsOf(s *profile.Sample) (functions []string) {
	for _, l := range s.Location {
		for _, line := range l.Line {
			if line.Function != nil {
				functions = append(functions, line.Function.Name)
			}
		}
	}
	return functions
}

// Flags are those that both programs have.
type Flags struct {
	Pattern  *regexp.Regexp
	Scale    float64
	Duration time.Duration // of each program; 0: the default
	Parallel int
}

// Define adds the flags to a set.
func (o *Flags) Define(f *flag.FlagSet, duration string) {
	*o = Flags{Pattern: new(regexp.Regexp), Scale: 0.01, Parallel: 6 * runtime.NumCPU()}
	f.TextVar(o.Pattern, "run", regexp.MustCompile(""), "only those whose name or class matches `REGEXP`")
	f.Func("scale", "how `long` a second of a service lasts, from 0.007 to 1 (default 0.01)", lab.Within(&o.Scale, parseFloat, leastScale, 1))
	f.Func("duration", "how long each program runs (default "+duration+")", lab.Within(&o.Duration, time.ParseDuration, time.Second, 24*time.Hour))
	f.Func("parallel", "`N` programs side by side, from 1 to 1000 (default 6 for each core)", lab.Within(&o.Parallel, strconv.Atoi, 1, 1000))
}

func parseFloat(text string) (float64, error) { return strconv.ParseFloat(text, 64) }
