// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// A Machine is where a program ran, and with which versions of what it
// compares.
type Machine struct {
	Go      string
	System  string
	CPU     string // the model; "" when unknown
	Cores   int
	Modules map[string]string // version by path
}

// ThisMachine describes the machine and those of the named modules that the
// program was built with.
func ThisMachine(modules ...string) Machine {
	m := Machine{
		Go:      runtime.Version(),
		System:  runtime.GOOS + "/" + runtime.GOARCH,
		CPU:     cpuModel(),
		Cores:   runtime.NumCPU(),
		Modules: make(map[string]string),
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if slices.Contains(modules, d.Path) {
				m.Modules[d.Path] = d.Version
			}
		}
	}
	return m
}

// cpuModel returns what Linux calls the first core, elsewhere "".
func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// String describes the machine in one line.
func (m Machine) String() string {
	parts := []string{m.Go, m.System, fmt.Sprintf("%d cores", m.Cores)}
	if m.CPU != "" {
		parts = append(parts, m.CPU)
	}
	for _, path := range slices.Sorted(maps.Keys(m.Modules)) {
		parts = append(parts, path+" "+m.Modules[path])
	}
	return strings.Join(parts, ", ")
}
