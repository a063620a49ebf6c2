// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package corpus is a collection of programs with known concurrency faults and
// of sound ones that resemble them: ground truth for detectors of leaks,
// deadlocks and the like.
//
// Each [Scenario] really does what it says, in the code that services are
// made of: HTTP over loopback, pools, pipelines, caches, trees of contexts.
// What is true of each stands in programs.md; a fault and its sound twin are the
// same code. Nothing in it ends by itself. A scenario is meant for a process of
// its own, which exits when it has seen enough.
//
// What is not part of a service that hangs, its callers and the database or the
// service that it depends on, is [Outside], in a process of its own: all
// goroutines of the process under test belong to the service.
//
// Times are those of a real service; [Env.Dur] scales them down. Rates are as
// they run, since a scaled rate of some hundred requests a second for each
// that a real service has would measure the machine.
package corpus
