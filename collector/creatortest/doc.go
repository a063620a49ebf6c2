// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package creatortest runs the goroutine receiver as a template of contrib's
// receiver_creator. It is a module of its own, so that users of the receiver do not get
// the requirements of the creator.
package creatortest
