// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package hosttest runs monitors with default options in processes of their own,
// on hosts that stop the process, throttle it, or have other work to do.
package hosttest
