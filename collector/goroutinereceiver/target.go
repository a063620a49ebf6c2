// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutinereceiver

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.uber.org/zap"

	"github.com/otelgoroutine/go/internal/observe"
	"github.com/otelgoroutine/go/internal/sight"
	"github.com/otelgoroutine/go/internal/source"
)

// farewell is how long the last data of a target that is gone may take.
const farewell = 5 * time.Second

// A spec is what a target is made of.
type spec struct {
	name     string // its address, without secrets; of two with one name, one is observed
	identity string // of the process; a target with another identity begins anew
	address  string
	resource pcommon.Resource
}

// A target is a process that is observed. run is called once, on a goroutine of its own,
// which calls the other methods, except leave.
type target struct {
	receiver *goroutineReceiver
	resource atomic.Pointer[pcommon.Resource]
	remote   *source.Remote
	observed *observe.Target
	pipeline *pipeline
	teller   *teller
	identity string
	state    state

	stop context.CancelFunc // ends run
	gone atomic.Bool        // the target left, and the receiver goes on
}

// A state is what is known of a target.
type state int32

const (
	pending state = iota
	observed
	incomplete
	unreachable
)

// states are the values of the attribute state, as in metadata.yaml.
var states = [...]string{"pending", "observed", "incomplete", "unreachable"}

func newTarget(r *goroutineReceiver, s *spec) (*target, error) {
	t := &target{receiver: r, identity: s.identity}
	t.resource.Store(&s.resource)
	var err error
	if t.remote, err = r.reader.RemoteThrough(r.client, s.address); err != nil {
		return nil, err
	}
	seen := sight.New(r.config.CollectionInterval, r.detectors, time.Now())
	t.pipeline, err = newPipeline(r.own, r.next, r.translator, r.config, func() pcommon.Resource { return *t.resource.Load() }, seen.Age)
	if err != nil {
		return nil, err
	}
	t.teller = &teller{logger: r.settings.Logger.With(zap.String("target", t.remote.Name))}
	t.observed = observe.NewTarget(t.remote.Name, t.remote, r.detectors, seen, t.pipeline.telemetry, t.step)
	t.observed.ForMany()
	t.observed.Exclude(r.known)
	if r.next.profiles != nil {
		t.observed.Profile(t.pipeline.profiles.ofFindings)
	}
	r.byState[pending].Add(1)
	return t, nil
}

// run takes a snapshot at every interval, until ctx ends.
func (t *target) run(ctx context.Context, first time.Duration) {
	defer t.end(ctx)
	due := time.Now().Add(first)
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		t.once(ctx)
		due = due.Add(t.receiver.config.CollectionInterval)
		if late := time.Since(due); late > 0 {
			missed := late/t.receiver.config.CollectionInterval + 1
			due = due.Add(missed * t.receiver.config.CollectionInterval)
			t.receiver.own.snapshots(ctx, "missed", int64(missed))
		}
		timer.Reset(time.Until(due))
	}
}

// once takes a snapshot and hands over what follows from it.
func (t *target) once(ctx context.Context) {
	giveBack := t.receiver.slots.take(ctx, t.state)
	if giveBack == nil {
		return
	}
	func() {
		defer giveBack()
		t.observed.Observe(ctx)
	}()
	if ctx.Err() == nil {
		t.teller.delivered(t.pipeline.flush(ctx, false))
	}
}

// step hears what an attempt to take a snapshot led to.
func (t *target) step(s observe.Step) {
	now, outcome := observed, "complete"
	switch {
	case s.Status.Unreachable():
		now, outcome = unreachable, "failed"
	case s.Status.Err != nil:
		now, outcome = incomplete, "incomplete"
	}
	t.receiver.own.snapshots(context.Background(), outcome, 1)
	if now != unreachable && t.receiver.next.profiles != nil {
		t.pipeline.profiles.periodic(s.Status.Snapshot)
	}
	t.teller.tell(&s, time.Now())
	if t.state != now {
		t.receiver.byState[now].Add(1)
		t.receiver.byState[t.state].Add(-1)
		t.state = now
		t.receiver.changed()
	}
}

// leave ends run, because the target is gone.
func (t *target) leave() {
	t.gone.Store(true)
	t.stop()
}

// end ends the findings and the series of a target that is gone. When the receiver
// ends, they stay as they are: nothing is known of the processes.
func (t *target) end(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if t.gone.Load() {
		t.observed.End(ctx)
		t.teller.delivered(t.pipeline.flush(ctx, true))
		t.teller.gone()
	}
	t.pipeline.close(ctx)
	t.remote.Close()
	t.receiver.byState[t.state].Add(-1)
}
