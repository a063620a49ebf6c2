// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelc has the rule with which OpenTelemetry's compile-time instrumentation for
// Go (the command otelc) adds package auto to a program whose source stays as it is. It
// is named in the file otel.instrumentation.go of the program; docs/zero-code.md has an
// example.
package otelc

// The import makes go mod tidy of the program find what the added file needs.
import _ "github.com/otelgoroutine/go/auto"
