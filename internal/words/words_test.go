// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0 s", -300 * time.Millisecond: "0 s", 75 * time.Second: "75 s", 119 * time.Second: "119 s", 2 * time.Minute: "2 min", 95 * time.Minute: "95 min",
		150 * time.Minute: "2.5 h", 36 * time.Hour: "36.0 h", 72 * time.Hour: "3 days",
	} {
		assert.Equal(t, want, Span(d))
	}
}
