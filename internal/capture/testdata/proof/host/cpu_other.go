//go:build !unix

package main

import "time"

var started = time.Now()

// cpuTime returns how long this process has run. It cannot have used more CPU time
// than that on one core.
func cpuTime() time.Duration { return time.Since(started) }
