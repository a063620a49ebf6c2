// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build !(amd64 && (linux || darwin || windows || freebsd))

package lockcode

// decode reads no code: of other processors it is not understood, and other systems
// may not let a program read its own.
func decode([]byte, uintptr, func(step)) bool { return false }

func movesOf([]byte, uintptr) []move { return nil }
