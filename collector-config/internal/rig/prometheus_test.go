// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHurryDividesTimesAndNothingElse(t *testing.T) {
	for text, want := range map[string]string{
		"for: 2m":                           "for: 2s",
		"for: 10m":                          "for: 10s",
		"scrape_interval: 15s":              "scrape_interval: 1s",
		"increase(x[30m]) offset 1h":        "increase(x[30s]) offset 60s",
		"    interval: 1m":                  "    interval: 1s",
		"keep_firing_for: 5m":               "keep_firing_for: 5s",
		"x offset 1d":                       "x offset 1440s",
		"count_over_time(x[1d:7m])":         "count_over_time(x[1440s:7s])",
		"'localhost:8889'":                  "'localhost:8889'",
		"description: for 30m at 2m":        "description: for 30m at 2m",
		"expr: sum(x) > 10 and y[5m]":       "expr: sum(x) > 10 and y[5s]",
		"replacement: 'x[a]', port: 8889 m": "replacement: 'x[a]', port: 8889 m",
	} {
		assert.Equal(t, want, Hurry(text, 60))
	}
	assert.Equal(t, "for: 120s", Hurry("for: 2m", 1))
}
