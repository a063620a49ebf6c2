// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package chaintest tests the files of collector-config with the real programs:
// the Collector, Prometheus, the example, and services whose faults a test can
// end. It contains only tests.
//
// The tests run if the environment variable OTELGOROUTINE_REAL_PROGRAMS is set,
// as it is in CI. They build the Collector, which takes minutes and gigabytes
// the first time. Prometheus must be installed.
//
// No test depends on the speed of the machine: each test waits for the effects
// that it checks, and faults end only after they were reported. Every service
// is a process of its own, because the monitors of one process share the
// runtime's single flight recorder.
package chaintest
