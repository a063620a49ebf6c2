// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	"github.com/otelgoroutine/go/collector-config/scale/load"
)

// A gatewayResult is what replicas asked of one gateway.
type gatewayResult struct {
	Replicas int
	Export   time.Duration // interval
	Span     time.Duration // of the measurement

	Idle, Steady, Storm map[string]usage // by process
	Sent                load.Sent        // while it was steady
	Scraped             scraped
	Lost                lost // in the end

	Findings int           // of each replica in the storm
	Stormed  load.Sent     // in the storm and the interval after it
	Took     time.Duration // until all events of the storm were accepted
	Stored   int64         // events that reached the log store
	Counted  float64       // events in goroutine_event_count_total
}

// measureGateway measures one gateway.
func measureGateway(ctx context.Context, o options, b bench) (r *gatewayResult, err error) {
	if b, err = b.in("gateway"); err != nil {
		return nil, err
	}
	shown, err := films(ctx, o.export, b)
	if err != nil {
		return nil, err
	}
	c, err := startChain(ctx, b, []string{"otel-collector.yaml", "gateway.yaml"})
	if err != nil {
		return nil, err
	}
	defer c.close()
	warmUp := 2*o.export + scrapeInterval
	b.tell("%d replicas export every %v; warming up for %v", o.replicas, o.export, warmUp)
	replicas, err := load.StartReplicas(ctx, load.ReplicasConfig{
		Endpoint: c.collector.OTLP, Replicas: o.replicas, Services: services, Stacks: o.stacks, Interval: o.export, Films: shown,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, replicas.Close()) }()
	if err := wait(ctx, warmUp); err != nil {
		return nil, err
	}
	r = &gatewayResult{Replicas: o.replicas, Export: o.export, Span: o.span, Idle: c.idle, Findings: o.findings}
	if err := r.steady(ctx, c, replicas, b); err != nil {
		return nil, err
	}
	return r, r.storm(ctx, c, replicas, b)
}

// scrapeInterval is that of prometheus.yaml.
const scrapeInterval = 15 * time.Second

// steady measures the usual load.
func (r *gatewayResult) steady(ctx context.Context, c *chain, replicas *load.Replicas, b bench) (err error) {
	b.tell("measuring the gateway for %v", r.Span)
	before := replicas.Sent()
	r.Steady, err = c.measured(ctx, func(ctx context.Context) error { return wait(ctx, r.Span) })
	if err != nil {
		return err
	}
	r.Sent = since(before, replicas.Sent())
	r.Scraped, err = c.scraped(ctx, r.Span)
	return err
}

// storm measures the events of all replicas at once, and the interval after them.
func (r *gatewayResult) storm(ctx context.Context, c *chain, replicas *load.Replicas, b bench) (err error) {
	b.tell("a storm: %d findings on each replica", r.Findings)
	before := replicas.Sent()
	r.Storm, err = c.measured(ctx, func(ctx context.Context) error {
		began := time.Now()
		if err := replicas.Storm(ctx, r.Findings); err != nil {
			b.tell("not all events of the storm were sent: %v", err)
		}
		r.Took = time.Since(began)
		return wait(ctx, r.Export+2*scrapeInterval)
	})
	if err != nil {
		return err
	}
	r.Stormed, r.Stored = since(before, replicas.Sent()), c.store.events.Load()
	if r.Counted, err = c.sum(ctx, `sum(goroutine_event_count_total)`); err != nil {
		return err
	}
	r.Lost, err = c.lost(ctx)
	return err
}

// since returns what was sent between two moments.
func since(before, after load.Sent) load.Sent {
	after.Exports -= before.Exports
	after.Points -= before.Points
	after.Failed -= before.Failed
	after.Events -= before.Events
	after.Lost -= before.Lost
	after.Bytes -= before.Bytes
	return after
}
