// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package alertrules generates the alerting rules for Grafana and for
// VictoriaMetrics from those for Prometheus, alerts.yaml. A test compares the
// files with the code. To regenerate them, run
//
//	go test ./alertrules -update
//
// It also knows every metric and every label that a query may use, so that a
// test can hold the queries of the rules and of the dashboard to the catalog of
// metrics.
package alertrules
