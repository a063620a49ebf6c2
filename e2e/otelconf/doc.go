// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package otelconf runs a program whose telemetry and whose monitor are configured by a
// file of OpenTelemetry's declarative configuration.
//
// It is a module of its own because otelconf requires the newest version of every
// exporter, which keeps the module around it from being tested with older ones.
package otelconf
