// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package pprofotlp translates goroutine profiles in the format of pprof into OTLP
// profiles, a signal that is alpha: this package may change in any release, with the
// signal. Its messages are those of go.opentelemetry.io/proto/otlp/profiles/v1development
// v0.4.0, which is what OpenTelemetry Collectors v0.161.0 receive.
//
// # What becomes of what
//
// A sample becomes a sample with one value, its number of goroutines. Samples that differ
// in nothing that is translated are added up. Functions, locations with their inlined
// calls, and mappings are kept, each different one once. The element at index 0 of every
// table of the dictionary is the zero value, and nothing is in a table that is not
// referenced.
//
//   - The label in which this project's profiles have the state of a goroutine becomes the
//     attribute goroutine.detailed_state.
//   - Labels that name a trace and a span become a link; see docs/requests.md for these.
//   - Other labels become attributes goroutine.label.<key>, if [Options.Labels] allows
//     them, because their values may be personal data.
//   - What pprof knows of a mapping, a location and a profile, and OTLP has no field for,
//     becomes an attribute pprof.* of OpenTelemetry's semantic conventions.
//
// The original is not sent along (original_payload).
//
// # Bounds
//
// A profile has at most [Options.MaxSamples] samples and [Options.MaxBytes] bytes, because
// Collectors refuse messages of more than 4 MiB over gRPC. The samples of the most
// goroutines are kept. The others become one sample at the function [_OTHER], so that the
// number of goroutines stays the same.
package pprofotlp
