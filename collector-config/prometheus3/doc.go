// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package prometheus3 pins a Prometheus that is newer than Debian's. The tests
// build it from its module:
//
//	go build -tags remove_all_sd github.com/prometheus/prometheus/cmd/prometheus
//
// It is not part of the workspace of the repository.
package prometheus3
