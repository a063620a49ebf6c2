// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine

import (
	"slices"
	"sync"
)

// claims holds the running monitors of this process, in the order in which they
// were started. A provider may be reached in several ways: the global one of
// before the SDK was set up and the SDK's own lead to the same place, and so may
// a provider that wraps another. Where two monitors reach the same place, only
// the first reports there.
var claims struct {
	sync.Mutex
	monitors []*Monitor
}

// claim adds m. It returns false if an earlier monitor reports to the same metrics.
// Monitors that were started with WithHandover give way to m.
func claim(m *Monitor) bool {
	for {
		known := claimed()
		if m.handover.wanted && len(known) > 0 {
			return false
		}
		if handOver(known) {
			continue
		}
		if slices.ContainsFunc(known, m.sharesMetrics) { // calls the provider, so nothing is locked
			return false
		}
		if addClaim(m, known) {
			return true
		}
	}
}

// addClaim adds m, unless the monitors are no longer the known ones.
func addClaim(m *Monitor, known []*Monitor) bool {
	claims.Lock()
	defer claims.Unlock()
	if !slices.Equal(claims.monitors, known) {
		return false
	}
	claims.monitors = append(slices.Clip(claims.monitors), m)
	return true
}

func release(m *Monitor) {
	claims.Lock()
	defer claims.Unlock()
	claims.monitors = slices.DeleteFunc(slices.Clone(claims.monitors), func(other *Monitor) bool { return other == m })
}

// claimed returns the monitors that were started before now.
func claimed() []*Monitor {
	claims.Lock()
	defer claims.Unlock()
	return slices.Clip(claims.monitors)
}

// earlier returns the monitors that were started before m; none once m is released.
func earlier(m *Monitor) []*Monitor {
	all := claimed()
	return slices.Clip(all[:max(slices.Index(all, m), 0)])
}
