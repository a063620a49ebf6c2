// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package metadatatest has what tests need to check the receiver's own metrics.
package metadatatest
