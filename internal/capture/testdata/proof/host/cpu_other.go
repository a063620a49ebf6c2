//go:build !unix

package main

import "time"

var started = time.Now()

// cpuTime returns how long this process has run, which is the most it can have
// used of one core.
func cpuTime() time.Duration { return time.Since(started) }
