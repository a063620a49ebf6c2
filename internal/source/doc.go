// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package source reads goroutine snapshots from files, from standard input, and
// from processes that serve net/http/pprof. It detects formats by their content,
// never by file name.
//
// Every input has a size limit and every request has a deadline.
package source
