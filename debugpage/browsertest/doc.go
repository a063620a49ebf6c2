// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package browsertest opens the live page of package debugpage in a real
// browser. It contains only tests.
//
// The tests need Chromium. They run if the environment variable
// OTELGOROUTINE_REAL_PROGRAMS is set, as it is in CI. If SCREENSHOTS names a
// folder, they save screenshots there. If PICTURES is set, TestPictures makes the
// pictures in docs again, those of programs on a terminal included (see
// internal/pictures).
package browsertest
