//go:build linux && !race

package parse

import (
	"os"
	"syscall"
	"testing"
)

// maxAddressSpace is what this package's tests and the programs they run may
// each map, about four times what they do. They decode hostile data and trace
// busy programs: whatever gets out of hand must end in a stack trace that tells
// which test it was, and not with the machine. The race detector maps more than
// any limit.
const maxAddressSpace = 6 << 30

func TestMain(m *testing.M) {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_AS, &limit) == nil && limit.Cur > maxAddressSpace {
		limit.Cur = maxAddressSpace
		syscall.Setrlimit(syscall.RLIMIT_AS, &limit)
	}
	os.Exit(m.Run())
}
