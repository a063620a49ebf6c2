// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package capture asks the runtime what its goroutines are doing. No other package
// of the module does.
//
// A [Capturer] has the sources, in the order in which they are tried. Before it
// uses a source, it makes two independent checks: whether it is safe for this
// process (safety.go), and whether its predicted cost is covered ([Governor]).
// source.go defines what a source returns and how it is guarded; each source has a
// file of its own.
package capture
