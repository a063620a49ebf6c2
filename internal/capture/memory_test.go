// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"math"
	"runtime/debug"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

const mib = 1 << 20

// files makes a file system of names and contents.
func files(contents map[string]string) fstest.MapFS {
	root := make(fstest.MapFS)
	for name, data := range contents {
		root[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return root
}

func TestTheLimitOfTheContainer(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  int64
	}{
		{"no files", nil, unlimited},
		{"version 2, in a container", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "536870912\n",
		}, 512 * mib},
		{"version 2, no limit", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "max\n",
		}, unlimited},
		{"version 2, a service of systemd in a limited slice", map[string]string{
			"proc/self/cgroup": "0::/system.slice/shop.service\n",
			"sys/fs/cgroup/system.slice/shop.service/memory.max": "max\n",
			"sys/fs/cgroup/system.slice/memory.max":              "1073741824\n",
		}, 1024 * mib},
		{"version 2, the innermost is the lowest", map[string]string{
			"proc/self/cgroup": "0::/kubepods/pod1/container\n",
			"sys/fs/cgroup/kubepods/pod1/container/memory.max":      "67108864\n",
			"sys/fs/cgroup/kubepods/pod1/memory.max":                "134217728\n",
			"sys/fs/cgroup/kubepods/memory.max":                     "max",
			"sys/fs/cgroup/kubepods/pod1/container/memory.max.unit": "1",
		}, 64 * mib},
		{"version 1, in a container that does not see its path", map[string]string{
			"proc/self/cgroup":                           "12:cpu,cpuacct:/docker/abc\n4:memory:/docker/abc\n1:name=systemd:/docker/abc\n0::/docker/abc\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "268435456\n",
		}, 256 * mib},
		{"version 1, no limit", map[string]string{
			"proc/self/cgroup":                           "4:memory:/\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		}, 9223372036854771712},
		{"version 1, memory beside others", map[string]string{
			"proc/self/cgroup": "4:hugetlb,memory:/a\n",
			"sys/fs/cgroup/memory/a/memory.limit_in_bytes": "1048576",
		}, mib},
		{"not a number", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "much\n",
		}, unlimited},
		{"zero and less", map[string]string{
			"proc/self/cgroup":         "0::/\n",
			"sys/fs/cgroup/memory.max": "-1\n",
		}, unlimited},
		{"noise", map[string]string{"proc/self/cgroup": "\n:\n::\n0::relative\nx:memory\n0::/../../etc\n"}, unlimited},
		{"endless", map[string]string{
			"proc/self/cgroup": "0::" + strings.Repeat("/a", 40<<10) + "\n",
			"sys/fs/cgroup/" + strings.Repeat("a/", 30<<10) + "memory.max": "1\n",
		}, unlimited},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, containerLimit(files(tt.files)))
		})
	}
	assert.Equal(t, int64(unlimited), containerLimit(nil))
	assert.Positive(t, containerLimit(hostRoot))
}

func TestTheRoomOfACapture(t *testing.T) {
	for _, tt := range []struct {
		name               string
		runtime, container int64
		use                use
		want               int64
	}{
		{"no limit", unlimited, unlimited, use{1 << 30, 1 << 29}, unlimited / memoryShare},
		{"a share of the container", unlimited, 512 * mib, use{100 * mib, 50 * mib}, 32 * mib},
		{"half of what is left, with garbage", unlimited, 512 * mib, use{500 * mib, 50 * mib}, 6 * mib},
		{"garbage does not count below a limit of the runtime's", 460 * mib, 512 * mib, use{459 * mib, 200 * mib}, 460 * mib / memoryShare},
		{"the lower limit counts", 1 << 40, 512 * mib, use{100 * mib, 100 * mib}, 32 * mib},
		{"hardly anything is left", 460 * mib, 512 * mib, use{459 * mib, 455 * mib}, 5 * mib / 2},
		{"nothing is left", 460 * mib, 512 * mib, use{600 * mib, 600 * mib}, leastRoom},
		{"a tiny limit", mib, unlimited, use{0, 0}, leastRoom},
	} {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.want, roomWithin(tt.runtime, tt.container, tt.use))
		})
	}
}

func TestTheLimitsAreOnlyRead(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	m := memory{root: files(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "17179869184\n"})}
	now := time.Now()
	assert.LessOrEqual(t, m.room(now), int64(1<<30))
	assert.Equal(t, before, debug.SetMemoryLimit(-1))
	m.root = nil
	m.room(now.Add(limitSpacing - 1))
	assert.Equal(t, int64(16<<30), m.container, "the files are not read each time")
	m.room(now.Add(limitSpacing))
	assert.Equal(t, int64(unlimited), m.container)

	u := readUse()
	assert.Positive(t, u.alive)
	assert.Less(t, u.alive, u.total)
}

// A capture that is predicted to need more memory than it may take is refused, and
// the next source, which may need less, is tried.
func TestACaptureThatNeedsTooMuchMemoryIsRefused(t *testing.T) {
	large, small := needing(goroutine.SourceTrace, 100*mib), needing(goroutine.SourceProfile, mib/2)
	c := capturerOf(large, small)
	c.started = true
	c.memory.root = files(map[string]string{"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/memory.max": "1048576\n"})
	s, skips := c.Take()
	require.NotNil(t, s)
	assert.Equal(t, goroutine.SourceProfile, s.Source)
	require.Len(t, skips, 1)
	assert.Equal(t, ReasonMemory, skips[0].Reason)
	assert.ErrorContains(t, skips[0].Refusal, "100 MiB")
	assert.Zero(t, large.took)
}

type needy struct {
	*fake
	bytes int64
}

func (n *needy) needs(int) int64 { return n.bytes }

func needing(as goroutine.Source, bytes int64) *needy { return &needy{works(as), bytes} }

// What the sources predict follows what they have seen.
func TestThePredictedMemory(t *testing.T) {
	assert.EqualValues(t, 1000*1100*2048/1000, newTextSource().needs(1000))
	assert.Positive(t, (&profileSource{}).needs(1000))
	assert.Positive(t, (&labelledSource{}).needs(1000))
	trace := newTraceSource(nil, nil)
	first := trace.needs(1000)
	assert.Positive(t, first)
	trace.size.note(10*mib, 1000)
	assert.Greater(t, trace.needs(1000), int64(10*mib))
	assert.Greater(t, trace.needs(2000), int64(20*mib))
	trace.size.note(1000, 1000)
	assert.Greater(t, trace.needs(1000), int64(5*mib), "it falls slowly")
	assert.Less(t, trace.needs(math.MaxInt32), int64(math.MaxInt64))
}
