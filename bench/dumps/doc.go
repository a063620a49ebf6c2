// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package dumps has the tests that compare how goroutine dumps are read with other
// readers: every fixture of the tests of gostackparse and panicparse is read at least
// as completely as by them. The fixtures are read from the module cache, so none of
// them is copied.
package dumps
