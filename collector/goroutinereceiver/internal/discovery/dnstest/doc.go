// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package dnstest tests service discovery by DNS with a real server. Prometheus
// asks the servers of /etc/resolv.conf, at port 53, and cannot be told otherwise.
// So the test runs in namespaces of its own, in which that file and that port are
// its own. That needs Linux, and a user who may make namespaces.
package dnstest
