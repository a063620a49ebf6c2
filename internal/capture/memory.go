// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package capture

import (
	"bytes"
	"io"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"time"
)

const (
	// memoryShare is the part of the memory limit that one capture may take: one in
	// this many.
	memoryShare = 16
	// leastRoom is what a capture may take in any case, so that a process which is
	// about to reach its limit, perhaps because its goroutines leak, is not left
	// unseen. It is enough for a trace of some 5,000 goroutines.
	leastRoom = 1 << 20
	// limitSpacing is how often the limit of the container is read: it may change
	// while the process runs.
	limitSpacing = time.Minute

	unlimited = math.MaxInt64
)

// A memory knows how much memory a capture may take. It only reads: the limit that
// the Go runtime keeps (GOMEMLIMIT), the limit of the container, and how much the
// process uses. The zero value knows no container.
type memory struct {
	root      fs.FS // the root of the file system; nil: no container is looked for
	container int64 // its limit in bytes; 0 when it has not been read yet
	read      time.Time
}

// room returns how many bytes a capture may take at now: a share of the limit, and
// at most half of what is left.
func (m *memory) room(now time.Time) int64 {
	if m.container == 0 || now.Sub(m.read) >= limitSpacing {
		m.container, m.read = containerLimit(m.root), now
	}
	return roomWithin(debug.SetMemoryLimit(-1), m.container, readUse()) // a negative limit changes nothing
}

// roomWithin returns how many bytes a capture may take within the limits of the
// runtime and of the container.
//
// If the runtime has a limit, it collects garbage in time to make room, so only what
// is alive counts. Otherwise garbage counts too, because the container's limit does
// not make the runtime collect it.
func roomWithin(runtime, container int64, u use) int64 {
	used := u.total
	if runtime != unlimited {
		used = u.alive
	}
	limit := min(runtime, container)
	return max(leastRoom, min(limit/memoryShare, (limit-used)/2))
}

// A use is how many bytes of memory the Go runtime holds.
type use struct {
	total int64 // mapped, and not given back
	alive int64 // without garbage and free memory
}

func readUse() use {
	samples := [...]metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(samples[:])
	value := func(i int) int64 { return int64(uint64Of(samples[i])) }
	total := value(0) - value(1)
	garbage := max(value(4)-value(5), 0)
	return use{total: total, alive: total - value(2) - value(3) - garbage}
}

const (
	// maxCgroupFile is how much of /proc/self/cgroup is read, in bytes.
	maxCgroupFile = 64 << 10
	// maxLimitFile is how much of a file that contains a limit is read, in bytes.
	maxLimitFile = 64
	// maxNesting is how many levels of cgroups are read.
	maxNesting = 32
)

// containerLimit returns the memory limit of the cgroup that this process runs in,
// in bytes, or unlimited. A group is limited by each group around it, too. Inside a
// container, the groups around it may be hidden, and the container's own appear at
// the root.
func containerLimit(root fs.FS) int64 {
	if root == nil {
		return unlimited
	}
	limit := int64(unlimited)
	for line := range strings.Lines(string(readStart(root, "proc/self/cgroup", maxCgroupFile))) {
		dir, file, group := cgroupOf(strings.TrimSuffix(line, "\n"))
		for range maxNesting {
			if file == "" {
				break
			}
			limit = min(limit, limitIn(root, path.Join(dir, group, file)))
			if group == "/" || group == "." {
				break
			}
			group = path.Dir(group)
		}
	}
	return limit
}

// cgroupOf returns where the memory limit of a line of /proc/self/cgroup is found:
// "0::/path" for version 2, "4:memory:/path" for version 1. The file is empty for
// every other line.
func cgroupOf(line string) (dir, file, group string) {
	fields := strings.SplitN(line, ":", 3)
	if len(fields) != 3 || !strings.HasPrefix(fields[2], "/") {
		return "", "", ""
	}
	group = path.Clean(fields[2])
	if fields[1] == "" {
		return "sys/fs/cgroup", "memory.max", group
	}
	for controller := range strings.SplitSeq(fields[1], ",") {
		if controller == "memory" {
			return "sys/fs/cgroup/memory", "memory.limit_in_bytes", group
		}
	}
	return "", "", ""
}

// limitIn returns the limit in a file. It is unlimited for "max", and when there is
// no such file or no number in it.
func limitIn(root fs.FS, name string) int64 {
	text := string(bytes.TrimSpace(readStart(root, name, maxLimitFile)))
	if limit, err := strconv.ParseInt(text, 10, 64); err == nil && limit > 0 {
		return limit
	}
	return unlimited
}

// readStart returns the first bytes of a file, or nil.
func readStart(root fs.FS, name string, most int64) []byte {
	f, err := root.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return nil
	}
	return data
}

// hostRoot is the file system of the host.
var hostRoot = os.DirFS("/")
