// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"math"
	"time"
)

// What a fleet needs is calculated for machines of one size, of which half is used:
// the other half is for the replicas of a machine that is gone, for a storm of
// findings, and for what was not measured.
const (
	machineCores  = 2
	machineMemory = 4 << 30
	usedPart      = 0.5
)

// A share is what one replica or target adds to a process.
type share struct {
	Cores  float64
	Memory float64 // bytes
}

// shareOf returns the share of each of n: what a process used beyond what it uses
// without load. peak may be another measurement, whose memory counts if it is more.
func shareOf(n int, idle, steady, peak usage) share {
	return share{
		Cores:  max(0, steady.Cores-idle.Cores) / float64(n),
		Memory: max(0, float64(max(steady.Peak, peak.Peak)-idle.Last)) / float64(n),
	}
}

// capacity returns how many a machine can have, in two digits, rounded down; at
// least one.
func capacity(each share, idle usage) int {
	n := float64(maxFleet)
	if each.Cores > 0 {
		n = min(n, (machineCores*usedPart-idle.Cores)/each.Cores)
	}
	if each.Memory > 0 {
		n = min(n, (machineMemory*usedPart-float64(idle.Last))/each.Memory)
	}
	if n < 1 {
		return 1
	}
	digit := math.Pow(10, max(0, math.Floor(math.Log10(n))-1))
	return int(math.Floor(n/digit) * digit)
}

// A need is what a fleet needs of one kind of Collector, and what it asks of
// Prometheus.
type need struct {
	PerMachine int     // replicas or targets
	Machines   int     // one more than the fleet fills
	In         float64 // bytes each second that arrive at all machines
	Series     float64 // in Prometheus
	Samples    float64 // each second, scraped
	Cores      float64 // of Prometheus
	Memory     float64 // of Prometheus, in bytes
}

// needOf calculates what a fleet needs.
func needOf(fleet, n int, each share, idle map[string]usage, steady usage, s scraped, bytes int64, span time.Duration) need {
	of := needed{fleet: float64(fleet), n: float64(n)}
	per := capacity(each, idle[theCollector])
	return need{
		PerMachine: per,
		Machines:   (fleet+per-1)/per + 1,
		In:         of.all(float64(bytes) / span.Seconds()),
		Series:     of.all(s.Samples),
		Samples:    of.all(s.Samples) / scrapeInterval.Seconds(),
		Cores:      of.all(max(0, steady.Cores-idle[thePrometheus].Cores)),
		Memory:     of.all(max(0, float64(steady.Peak-idle[thePrometheus].Last))),
	}
}

// needed scales what was measured to a fleet.
type needed struct{ fleet, n float64 }

func (f needed) all(measured float64) float64 { return measured / f.n * f.fleet }

// share returns what one replica adds to the gateway.
func (r *gatewayResult) share() share {
	return shareOf(r.Replicas, r.Idle[theCollector], r.Steady[theCollector], r.Storm[theCollector])
}

func (r *gatewayResult) need(fleet int) need {
	return needOf(fleet, r.Replicas, r.share(), r.Idle, r.Steady[thePrometheus], r.Scraped, r.Sent.Bytes, r.Span)
}

// share returns what one target adds to the Collector.
func (r *receiverResult) share() share {
	return shareOf(r.Targets, r.Idle[theCollector], r.Steady[theCollector], usage{})
}

func (r *receiverResult) need(fleet int) need {
	return needOf(fleet, r.Targets, r.share(), r.Idle, r.Steady[thePrometheus], r.Scraped, r.Answered, r.Span)
}
