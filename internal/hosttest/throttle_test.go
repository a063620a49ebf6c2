// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package hosttest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// throttle gives a service 2 ms of CPU time in each tenth of a second, by a control
// group like that of a container. Where no group can be made, it skips the test.
func throttle(t *testing.T, s *service) {
	t.Helper()
	const quota, period = 2_000, 100_000 // µs
	root, limits := "/sys/fs/cgroup", map[string]string{"cpu.max": fmt.Sprint(quota, " ", period)}
	if _, err := os.Stat("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"); err == nil { // version 1
		root, limits = "/sys/fs/cgroup/cpu", map[string]string{"cpu.cfs_period_us": fmt.Sprint(period), "cpu.cfs_quota_us": fmt.Sprint(quota)}
	}
	group, err := os.MkdirTemp(root, "otelgoroutine-")
	if err != nil {
		t.Skipf("no control group can be made: %v", err)
	}
	t.Cleanup(func() {
		_ = s.Process.Kill()
		_ = s.Wait()
		_ = os.Remove(group)
	})
	for file, limit := range limits {
		if err := os.WriteFile(filepath.Join(group, file), []byte(limit), 0o644); err != nil {
			t.Skipf("control groups cannot limit CPU time here: %v", err)
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(group, "cgroup.procs"), []byte(fmt.Sprint(s.Process.Pid)), 0o644))
}
