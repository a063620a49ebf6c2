// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestNumbers(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "–", 1: "1.00 ns", 999: "999 ns", 1000: "1.00 µs", 12_345: "12.3 µs", 999_600: "1.00 ms",
		1340 * time.Millisecond: "1.34 s", 61 * time.Second: "61.0 s",
	} {
		assert.Equal(t, want, Duration(d))
	}
	for n, want := range map[int64]string{
		0: "0 B", 17: "17.0 B", 1000: "0.98 KiB", 1024: "1.00 KiB", 5 << 20: "5.00 MiB", 3 << 30: "3.00 GiB", 5000 << 30: "5000 GiB",
	} {
		assert.Equal(t, want, Size(n))
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 123456: "123,456", 1234567: "1,234,567"} {
		assert.Equal(t, want, Thousands(n))
	}
}
