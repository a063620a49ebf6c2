// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otelgoroutine_test

import (
	"fmt"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// A service that reports its own findings says what they cover.
func ExampleMonitor_Status() {
	var monitor *otelgoroutine.Monitor // from otelgoroutine.Start
	status := monitor.Status()
	if n := len(status.Detectors); n > 0 && status.Judging() == n {
		fmt.Println("every detector is judging")
		return
	}
	fmt.Println(status)
	// Output: No detector is used. There is no snapshot yet.
}
