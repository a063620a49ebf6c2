// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package victoriametrics pins vmalert-tool, with which VictoriaMetrics tests
// alerting rules, on its own storage. The tests build it from its module:
//
//	go build github.com/VictoriaMetrics/VictoriaMetrics/app/vmalert-tool
//
// It is not part of the workspace of the repository.
package victoriametrics
