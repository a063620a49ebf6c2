// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package stress holds the library to what it promises where a service is at
// its worst: a million goroutines, churn, exporters that hang, a runtime whose
// settings change, little memory. It has tests only. Each scenario is a process
// of its own with the real monitor, the real SDK and, where it matters, real
// OTLP over gRPC; the README says what each one proves.
package stress
