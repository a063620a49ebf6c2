// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package e2e runs real programs in processes of their own and receives what they
// tell.
//
// Each folder in programs is a program that starts a monitor in one of the ways in
// which services have telemetry, and that has a real fault. A test builds it and
// starts it with an environment ([Start]), and waits until the event's sentence
// arrives where such a service would show it: on the standard error, on a page of
// metrics, or over OTLP ([Receive]). What the programs share is in the package
// program.
//
// Programs end when the test ends, or when the process of the test does.
//
// It is a module of its own because it needs exporters, bridges and gRPC, which
// users of the root module should not have to download.
package e2e
