// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package spanlabels measures what a span pays for labelling its goroutine, as a part
// of an HTTP request and alone:
//
//	go test -C bench ./spanlabels -run '^$' -bench . -benchtime 10000x
package spanlabels
