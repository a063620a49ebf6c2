// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package safetytest runs monitors in programs with assembly of every kind, each
// in a process of its own: those that a trace would end go on without one, and
// all others are traced.
//
// It is a module of its own, so that the main one has no assembly and requires
// none of the modules that have.
package safetytest
