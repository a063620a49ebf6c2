// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/otelgoroutine/go/collector-config/scale/load"
)

// A receiverResult is what targets asked of one Collector with the receiver.
type receiverResult struct {
	Targets    int
	Collection time.Duration // interval
	Span       time.Duration // of the measurement

	Idle, Steady map[string]usage // by process
	Answers      load.Answers
	Asked        int64 // bytes that targets were sent
	Answered     int64 // bytes that targets sent
	Scraped      scraped
	Lost         lost
	Own          receiverOwn
}

// A receiverOwn is what the receiver says of itself, since its start.
type receiverOwn struct {
	Observed           float64 // targets
	Incomplete, Failed float64 // snapshots
	Missed             float64 // snapshots that were not begun, because the one before had not ended
	Dropped            float64 // events
}

// ownMetrics returns what the receiver says of itself.
func (c *chain) ownMetrics(ctx context.Context) (o receiverOwn, err error) {
	var errs []error
	for _, q := range []struct {
		to       *float64
		selector string
	}{
		{&o.Observed, `__name__=~"otelcol_goroutine_receiver_targets(_.*)?",state="observed"`},
		{&o.Incomplete, `__name__=~"otelcol_goroutine_receiver_snapshots(_.*)?",outcome="incomplete"`},
		{&o.Failed, `__name__=~"otelcol_goroutine_receiver_snapshots(_.*)?",outcome="failed"`},
		{&o.Missed, `__name__=~"otelcol_goroutine_receiver_snapshots(_.*)?",outcome="missed"`},
		{&o.Dropped, `__name__=~"otelcol_goroutine_receiver_events_dropped(_.*)?"`},
	} {
		value, err := c.sum(ctx, "sum({"+q.selector+"})")
		*q.to, errs = value, append(errs, err)
	}
	return o, errors.Join(errs...)
}

// receiverFiles returns the configuration of operators, with the limits that the
// flags set.
func (o *options) receiverFiles() []string {
	return []string{
		"otel-collector.yaml", "receiver.yaml",
		fmt.Sprintf("yaml:receivers::goroutine::max_targets: %d", o.targets),
		fmt.Sprintf("yaml:receivers::goroutine::top_stacks: %d", o.stacks),
	}
}

// history is how many snapshots of a target are taken before the receiver is
// measured: a few more than it keeps, since their memory counts.
const history = 40

// roomForTargets is the memory limit of a Collector with the receiver, in MiB. The
// default of otel-collector.yaml is for one that only forwards: beyond it, all data
// would be refused.
var roomForTargets = []string{"MEMORY_LIMIT_MIB=3072", "MEMORY_SPIKE_MIB=512"}

// measureReceiver measures one Collector with the receiver.
func measureReceiver(ctx context.Context, o options, b bench) (r *receiverResult, err error) {
	if b, err = b.in("receiver"); err != nil {
		return nil, err
	}
	warmUp := history * o.collection
	moments := int((warmUp+o.span)/o.collection) + 10 // a request that fails may be repeated
	recordings, err := record(ctx, moments+spread, b)
	if err != nil {
		return nil, err
	}
	targets, err := load.ServeTargets(o.targets, recordings, spread)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, targets.Close()) }()
	file := filepath.Join(b.dir, "targets.json")
	if err := writeTargets(file, nil); err != nil {
		return nil, err
	}
	c, err := startChain(ctx, b, o.receiverFiles(), append(roomForTargets, "TARGETS_FILE="+file, "SNAPSHOT_INTERVAL="+o.collection.String())...)
	if err != nil {
		return nil, err
	}
	defer c.close()
	b.tell("%d targets are asked every %v; warming up for %v", o.targets, o.collection, warmUp)
	if err := writeTargets(file, targets.Addresses()); err != nil {
		return nil, err
	}
	if err := wait(ctx, warmUp); err != nil {
		return nil, err
	}
	r = &receiverResult{Targets: o.targets, Collection: o.collection, Span: o.span, Idle: c.idle}
	return r, r.steady(ctx, c, targets, b)
}

// steady measures the usual load.
func (r *receiverResult) steady(ctx context.Context, c *chain, targets *load.Targets, b bench) (err error) {
	b.tell("measuring the receiver for %v", r.Span)
	targets.Reset()
	read, written := targets.Wire.Read(), targets.Wire.Written()
	r.Steady, err = c.measured(ctx, func(ctx context.Context) error { return wait(ctx, r.Span) })
	if err != nil {
		return err
	}
	r.Answers = targets.Answers(r.Collection * 3 / 2)
	r.Asked, r.Answered = targets.Wire.Read()-read, targets.Wire.Written()-written
	if r.Scraped, err = c.scraped(ctx, r.Span); err != nil {
		return err
	}
	if r.Own, err = c.ownMetrics(ctx); err != nil {
		return err
	}
	r.Lost, err = c.lost(ctx)
	return err
}
