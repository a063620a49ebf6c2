// Package chaintest runs the files of collector-config on the real programs: the
// Collector, Prometheus and the example, and services with faults that a
// test ends. It has tests only.
//
// They run where the environment variable OTELGOROUTINE_REAL_PROGRAMS is set, as
// it is in CI. Then they build the Collector, which takes minutes and gigabytes
// the first time, and Prometheus has to be installed.
//
// No test depends on how fast the machine is: each waits for what it has seen,
// faults end after they were reported, and every service is a process of its own,
// since the monitors of one process share the runtime's one flight recorder.
package chaintest
