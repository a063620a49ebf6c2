// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package collectorconfig contains no code. Its folder contains the files that
// operators copy. The tests of this package check the files alone; the tests in
// chaintest use them with the real programs.
package collectorconfig
