// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package lab is what the programs that measure have in common: the command
// line, processes of their own, the machine that they run on, what a process
// uses, figures and tables as text, and verdicts on what we promise.
package lab
