// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"math"
	"sync/atomic"
	"time"
)

// A load is how many clients there should be at each time of a service.
type load struct {
	name    string
	clients func(age time.Duration) int
	drops   time.Duration // all clients lose their connections, and come back; 0: never
}

var loads = []load{
	{"flat", func(time.Duration) int { return 60 }, 0},
	{"ramp", func(age time.Duration) int { return int(240 * min(1, age.Minutes()/120)) }, 0},
	{"wave", func(age time.Duration) int { return 20 + int(90*(1-math.Cos(2*math.Pi*age.Minutes()/40))) }, 0},
	{"burst", bursts, 0},
	{"reconnect", func(time.Duration) int { return 100 }, 15 * time.Minute},
}

// bursts has many clients for two minutes of fifteen.
func bursts(age time.Duration) int {
	if age%(15*time.Minute) > 13*time.Minute {
		return 200
	}
	return 20
}

// A clock is the time of a service, of which a second lasts scale seconds.
type clock struct {
	scale float64
	began time.Time
}

// dur scales a time of a service.
func (c clock) dur(d time.Duration) time.Duration { return time.Duration(float64(d) * c.scale) }

// age is how long the service has run.
func (c clock) age() time.Duration {
	return time.Duration(float64(time.Since(c.began)) / c.scale)
}

// A population is clients, each on a goroutine of its own.
type population struct {
	visit  func(ctx context.Context) error
	leave  []context.CancelFunc // the oldest first
	most   int
	visits int
	failed atomic.Int64
}

// follow has as many clients as a load wants, until ctx ends; then all leave.
func (p *population) follow(ctx context.Context, l *load, c clock) {
	ticker := time.NewTicker(max(c.dur(2*time.Second), 10*time.Millisecond))
	defer ticker.Stop()
	defer p.to(0)
	for dropped := time.Duration(0); ; {
		if l.drops > 0 && c.age()/l.drops > dropped {
			dropped = c.age() / l.drops
			p.to(0)
		}
		p.to(l.clients(c.age()))
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// to has clients come or leave until there are n.
func (p *population) to(n int) {
	for len(p.leave) > n {
		p.leave[0]()
		p.leave = p.leave[1:]
	}
	for len(p.leave) < n {
		ctx, leave := context.WithCancel(context.Background())
		p.leave = append(p.leave, leave)
		p.visits++
		go func() {
			if err := p.visit(ctx); err != nil && ctx.Err() == nil {
				p.failed.Add(1)
			}
		}()
	}
	p.most = max(p.most, n)
}
