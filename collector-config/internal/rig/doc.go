// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package rig starts the real programs: the Collector of distribution/, the
// example and, if it is installed, Prometheus. The tests and the command local
// share it, so users see the setup that is tested.
//
// All addresses are on the loopback interface. Every process that is started
// must be stopped with its Stop method, which waits for its end.
package rig
