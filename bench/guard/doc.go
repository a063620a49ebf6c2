// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package guard holds what the library costs to what it cost before, without a
// clock: a test counts the statements that it executes, the objects that it
// allocates and their bytes, for one goroutine, stack or collection, and
// compares them with the figures in testdata/figures.json. It fails when one
// is more than a tenth above.
//
// Statements are those of the library alone. The jobs run in a program of
// their own, which is built with the counters of go build -cover; it is the
// same work whatever else the machine does.
//
// After a change that costs more for a reason:
//
//	go test -C bench ./guard -update
package guard
