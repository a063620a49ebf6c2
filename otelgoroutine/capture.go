// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/capture"
	"github.com/otelgoroutine/go/internal/parse"
)

// captureWait is how long [Monitor.Capture] waits at most for the budget.
const captureWait = time.Minute

// A Captured is what [Monitor.Capture] returns.
type Captured struct {
	Snapshot *goroutine.Snapshot // shared; it must not be modified
	Files    []File              // what was saved, the profile first; nil without WithProfileDir, WithArchive and WithProfileExporter
	Skips    []Skip              // what was left out, such as a goroutine dump that would stop the world for too long
}

// WithCaptureSignals takes a snapshot with [Monitor.Capture] for each value received from
// ch, so that an operator gets the files of a process with a signal:
//
//	signals := make(chan os.Signal, 1)
//	signal.Notify(signals, syscall.SIGUSR1)
//	otelgoroutine.Start(mp, otelgoroutine.WithProfileDir(dir, 10), otelgoroutine.WithCaptureSignals(signals))
//
// The program chooses the signal and calls signal.Notify; this package does not import
// os/signal. The option needs [WithProfileDir] or [WithArchive], where the files go. Why
// nothing was captured is reported to the error handler of OpenTelemetry, once. The
// channel is received from until [Monitor.Shutdown], or until it is closed.
func WithCaptureSignals(ch <-chan os.Signal) Option {
	return optionFunc(func(c *config) {
		if ch == nil {
			c.refuse("WithCaptureSignals(nil): a channel is needed; leave the option out if there is none")
		}
		c.signals = ch
	})
}

// checkFiles refuses options that save files which would go nowhere.
func (c *config) checkFiles() {
	nowhere := c.profileDir == "" && c.archive == nil
	if c.period > 0 && nowhere && c.exporter == nil {
		c.refuse("WithPeriodicProfiles(%v, %d): there is no place for profiles; add WithProfileDir, WithArchive or WithProfileExporter", c.period, c.periodKeep)
	}
	if c.period > 0 && c.period < c.interval {
		c.refuse("WithPeriodicProfiles(%v, %d): the time between profiles must be at least the interval of snapshots, %v", c.period, c.periodKeep, c.interval)
	}
	if c.signals != nil && nowhere {
		c.refuse("WithCaptureSignals: there is no place for files; add WithProfileDir or WithArchive")
	}
}

// Capture takes a snapshot now, beside the regular ones, and saves it where those of
// findings are saved, with [WithProfileDir] and [WithArchive]: as a pprof profile, as a
// goroutine dump if its predicted stop of the world is within Budget.Pause, and with
// [WithFlightRecorder] the recording. Of each of these, the newest are kept, as many as
// WithProfileDir says, beside those of findings. A dump has the arguments of calls; labels
// are removed from it.
//
// It takes no more than regular snapshots do: there are never two captures at a time,
// the budget pays, and at most one begins in a second. Callers that come while one is
// under way, or within the same second, get the same result. If the budget does not
// cover a snapshot yet, Capture waits for it, until ctx is done and for a minute at most.
// The error then says when one is possible; it also says if the process is overloaded, or
// the monitor was shut down. Detectors do not judge the snapshot, and [Monitor.Snapshot]
// does not return it.
func (m *Monitor) Capture(ctx context.Context) (Captured, error) {
	if !m.made() {
		return Captured{}, errors.New("otelgoroutine: Capture: this Monitor was not made by Start")
	}
	patience := time.NewTimer(captureWait)
	defer patience.Stop()
	for {
		c, err := joined(ctx, m, &m.captures, m.capture)
		if err == nil {
			return Captured{c.Snapshot, slices.Clone(c.Files), slices.Clone(c.Skips)}, nil
		}
		if !overBudget(err) {
			return Captured{}, fmt.Errorf("otelgoroutine: Capture: %w", err)
		}
		if ended := m.rest(ctx, patience.C); ended != nil {
			return Captured{}, fmt.Errorf("otelgoroutine: Capture: %w; %w", ended, err)
		}
	}
}

// WriteProfile writes a pprof goroutine profile to w, which go tool pprof opens. It takes
// a snapshot now, under the conditions of [Monitor.Capture], but saves nothing and does
// not wait for the budget: if no snapshot can be taken at once, it writes the newest one.
// The time of the profile, which go tool pprof shows, is that of its snapshot. The error
// is that of w, or says why there is no snapshot at all. It returns within seconds, or
// within 20 s while a capture hangs in the runtime.
func (m *Monitor) WriteProfile(w io.Writer) error {
	if !m.made() {
		return errors.New("otelgoroutine: WriteProfile: this Monitor was not made by Start")
	}
	s, err := joined(context.Background(), m, &m.fresh, m.takeFresh)
	if err != nil {
		if s = m.Snapshot(); s == nil {
			return fmt.Errorf("otelgoroutine: WriteProfile: %w", err)
		}
	}
	if err := parse.WriteProfile(w, s); err != nil {
		return fmt.Errorf("otelgoroutine: WriteProfile: %w", err)
	}
	return nil
}

// joined joins a flight, and waits for its end, until ctx is done or the monitor is shut
// down.
func joined[T any](ctx context.Context, m *Monitor, fs *flights[T], f func() (T, error)) (none T, err error) {
	fl, err := fs.join(f)
	if err != nil {
		return none, err
	}
	select {
	case <-fl.done:
		return fl.value, fl.err
	case <-ctx.Done():
		return none, fmt.Errorf("the capture is still under way: %w", ctx.Err())
	case <-m.stop:
		return none, errStopped
	}
}

// rest waits until another flight may begin. The error says what has ended first.
func (m *Monitor) rest(ctx context.Context, patience <-chan time.Time) error {
	gap := time.NewTimer(leastGap)
	defer gap.Stop()
	select {
	case <-gap.C:
		return nil
	case <-patience:
		return fmt.Errorf("no snapshot within %v", captureWait)
	case <-ctx.Done():
		return ctx.Err()
	case <-m.stop:
		return errStopped
	}
}

// overBudget reports whether a snapshot was refused because its CPU time was not earned.
func overBudget(err error) bool {
	var refusal *capture.Refusal
	return errors.As(err, &refusal) && refusal.Reason == capture.ReasonBudget
}

// takeFresh takes a snapshot on request.
func (m *Monitor) takeFresh() (*goroutine.Snapshot, error) {
	s, skips := m.observer.client.Fresh()
	ctx := context.Background()
	for _, k := range skips {
		m.telemetry.Skipped(ctx, k.Source, string(k.Reason))
	}
	switch {
	case s != nil:
		m.telemetry.Took(ctx, s)
		return s, nil
	case len(skips) == 0:
		return nil, errors.New("no snapshot could be taken")
	}
	last := skips[len(skips)-1]
	return nil, fmt.Errorf("no snapshot can be taken now: source %q: %w", last.Source, last.Refusal)
}

// capture takes a snapshot on request and saves it.
func (m *Monitor) capture() (c Captured, err error) {
	if c.Snapshot, err = joined(context.Background(), m, &m.fresh, m.takeFresh); err != nil {
		return c, err
	}
	o := m.observer
	if o.store == nil {
		return c, nil
	}
	at := c.Snapshot.Time
	o.client.work(func() { c.keep(o.store.profile(CauseRequest, c.Snapshot)) })
	if !o.store.keeps() {
		return c, nil
	}
	if recording := o.client.Recording(c.Snapshot); recording != nil {
		c.keep(o.store.bytes(fileOf(FileRecording, CauseRequest, at), recording))
	}
	dump, skip := o.client.Dump()
	if skip != nil {
		m.telemetry.Skipped(context.Background(), skip.Source, string(skip.Reason))
		c.Skips = append(c.Skips, Skip{skip.Source, string(skip.Reason)})
		return c, nil
	}
	c.keep(o.store.bytes(fileOf(FileDump, CauseRequest, at), dump.Text))
	return c, nil
}

// keep adds a file that was saved.
func (c *Captured) keep(f File, saved bool) {
	if saved {
		c.Files = append(c.Files, f)
	}
}

// receive captures for each signal, until the monitor is shut down.
func (m *Monitor) receive(signals <-chan os.Signal) {
	for {
		select {
		case <-m.stop:
			return
		case _, open := <-signals:
			if !open {
				return
			}
			if _, err := m.Capture(context.Background()); err != nil && !errors.Is(err, errStopped) {
				m.told.complain("signal", err)
			}
		}
	}
}

// endRequests refuses requests from now on, and waits for those under way.
func (m *Monitor) endRequests() {
	m.signals.Wait()
	m.captures.end()
	m.fresh.end()
}
