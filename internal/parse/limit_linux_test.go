// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !race

package parse

import (
	"os"
	"syscall"
	"testing"
)

// maxAddressSpace is how many bytes the tests of this package, and each program
// they run, may map: about four times what they need. They decode hostile data and
// trace busy programs. A test that gets out of hand must end with a stack trace
// instead of taking the machine down. The race detector maps more than any limit.
const maxAddressSpace = 6 << 30

func TestMain(m *testing.M) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) == nil && limit.Cur > maxAddressSpace {
		limit.Cur = maxAddressSpace
		syscall.Setrlimit(syscall.RLIMIT_AS, &limit)
	}
	os.Exit(m.Run())
}
