// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !unix

package lab

import "time"

// ProcessCPU returns 0: this system is not asked.
func ProcessCPU() time.Duration { return 0 }
