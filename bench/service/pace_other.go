// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package main

import "time"

// pause sleeps.
func pause(d time.Duration) { time.Sleep(d) }
