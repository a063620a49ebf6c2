// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// mixed mixes the lines of texts at random, each with its prefix. Each text keeps its
// order.
func mixed(r *rand.Rand, prefixes []string, texts []string) string {
	var lines [][]string
	left := 0
	for _, text := range texts {
		lines = append(lines, strings.Split(strings.TrimSuffix(text, "\n"), "\n"))
		left += len(lines[len(lines)-1])
	}
	var b strings.Builder
	for n := 0; left > 0; left, n = left-1, n+1 {
		i := r.IntN(len(lines))
		for len(lines[i]) == 0 {
			i = (i + 1) % len(lines)
		}
		b.WriteString(strings.ReplaceAll(prefixes[i], "%n", fmt.Sprint(n)) + lines[i][0] + "\n")
		lines[i] = lines[i][1:]
	}
	return b.String()
}

// TestProcesses tells processes apart whose lines are mixed.
func TestProcesses(t *testing.T) {
	dumps := []string{
		"panic: one\n\n" + benchDump(6),
		"fatal error: two\n\n" + strings.ReplaceAll(benchDump(7), "worker", "other"),
		"panic: three\n\n" + one,
	}
	messages := []string{"one", "two", "three"}
	for name, prefixes := range map[string][]string{
		"pods":                 {"[pod/web-7d4b9c-x2x/app] ", "[pod/web-7d4b9c-abc/app] ", "[pod/web-7d4b9c-qrs/app] "},
		"pods with numbers":    {"[pod/web-0/app] ", "[pod/web-1/app] ", "[pod/web-2/app] "},
		"pods, with times":     {"[pod/web-0/app] 2026-11-27T09:00:00.%nZ ", "[pod/web-1/app] 2026-11-27T09:00:00.%nZ ", "[pod/web-2/app] 2026-11-27T09:00:00.%nZ "},
		"a pod, its container": {"web-7d4b9c-x2x app ", "web-7d4b9c-abc app ", "web-7d4b9c-qrs app "},
		"compose":              {"web-1  | ", "web-2  | ", "db-1   | "},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(40) {
				text := mixed(rand.New(rand.NewPCG(seed, 2)), prefixes, dumps)
				all, err := dumpsOf(text)
				require.NoError(t, err, text)
				require.Len(t, all, len(dumps), text)
				for _, d := range all {
					i := 0
					for i < len(prefixes)-1 && d.Process != string(firstWord([]byte(prefixes[i]))) {
						i++
					}
					require.Equal(t, string(firstWord([]byte(prefixes[i]))), d.Process)
					requireSame(t, described(oneDump(t, dumps[i])), described(d.Snapshot), text)
					if d.Details.Crash.Kind != NoCrash { // its line may come before any header
						require.Equal(t, messages[i], d.Details.Crash.Message, text)
					}
				}
			}
		})
	}
}

// TestOneProcess does not take other words for processes.
func TestOneProcess(t *testing.T) {
	text := benchDump(12)
	want := described(oneDump(t, text))
	for name, wrap := range map[string]func(i int, line string) string{
		"one name": func(_ int, line string) string { return "[pod/web-0/app] " + line },
		"a time":   func(i int, line string) string { return fmt.Sprintf("09:00:%02d ", i%60) + line },
		"a number": func(i int, line string) string { return fmt.Sprintf("%d ", i) + line },
		"a hash": func(i int, line string) string {
			return fmt.Sprintf("%x app: ", 0xabcdefabcd+uint64(i)*0x9e3779b97f4a) + line
		},
		"a date": func(i int, line string) string {
			return fmt.Sprintf("27/Nov/2026:09:%02d:%02d app: ", i/60, i%60) + line
		},
		"a goroutine": func(_ int, line string) string { return line },
	} {
		t.Run(name, func(t *testing.T) {
			wrapped := eachLine(wrap)(text)
			all, err := dumpsOf(wrapped)
			require.NoError(t, err, wrapped)
			require.Len(t, all, 1, wrapped)
			assert.Empty(t, all[0].Process)
			requireSame(t, want, described(all[0].Snapshot), wrapped)
		})
	}
}

func TestProcessesAreBounded(t *testing.T) {
	var texts, prefixes []string
	for i := range 3 * maxProcesses {
		texts, prefixes = append(texts, benchDump(2)), append(prefixes, fmt.Sprintf("pod%c%c ", 'a'+i/26, 'a'+i%26))
	}
	s := &series{stacks: NewStacks(), births: new(goroutine.Births), at: textTime, room: maxDistinct}
	dumps, err := s.readAll(strings.NewReader(mixed(rand.New(rand.NewPCG(1, 1)), prefixes, texts)))
	require.ErrorContains(t, err, "only 16 processes are told apart by the first word of their lines; further ones are read as one with pod")
	names := make(map[string]bool)
	for _, d := range dumps {
		names[d.Process] = true
	}
	assert.LessOrEqual(t, len(names), maxProcesses+1)
}
