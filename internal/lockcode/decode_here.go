// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build amd64 && (linux || darwin || windows || freebsd)

package lockcode

// decode reads code on systems whose programs may read their own.
func decode(code []byte, from uintptr, each func(step)) bool {
	return decodeAMD64(code, from, each)
}

// movesOf reads the same code once more.
func movesOf(code []byte, from uintptr) []move { return movesAMD64(code, from) }
