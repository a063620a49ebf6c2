// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Release checks, serves and tags the modules of this repository. Run it from
// anywhere in the repository:
//
//	go run ./internal/release check [-final]
//	go run ./internal/release tidy [-check]
//	go run ./internal/release version v0.2.0
//	go run ./internal/release sums
//	go run ./internal/release tag [-do]
//	go run ./internal/release proxy DIR
//
// docs/RELEASING.md says when to use which.
//
// All modules share one version, and the repository carries the next version to be
// released. It appears in the constant Version of internal/telemetry, in the
// modules' requirements of one another, and in go.work. No module has a
// replacement in its go.mod, because the go command does not install a module that
// has one. Only go.work lets the modules of a checkout find one another.
//
// Between releases, no go.sum has hashes of our own modules, because the hashes
// change with every commit. Only the tagged commit has them: sums adds them and
// version removes them.
package main
