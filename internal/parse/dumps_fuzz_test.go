// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

// FuzzDumps reads anything.
func FuzzDumps(f *testing.F) {
	addFiles(f, filepath.Join("pasted", "*"))
	all := wrappings()
	for _, name := range sortedKeys(all) {
		f.Add([]byte(all[name].wrap(one + "\n" + strings.ReplaceAll(one, "goroutine 8", "goroutine 9"))))
	}
	f.Add([]byte("[pod/a/x] goroutine 1 [running]:\n[pod/b/x] goroutine 1 [running]:\n[pod/a/x] main.f()\n[pod/b/x] main.g()\n[pod/a/x] \t/f.go:1\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		read := func(r io.Reader) string {
			dumps, _ := Dumps(NewTextReader(newBuffered(r)), textTime, NewStacks(), new(goroutine.Births))
			var b strings.Builder
			for _, d := range dumps {
				requireSane(t, d.Snapshot)
				requireBounded(t, d.Snapshot)
				require.LessOrEqual(t, len(d.Preface), maxPreface)
				b.WriteString(d.Process + described(d.Snapshot))
			}
			return b.String()
		}
		require.Equal(t, read(bytes.NewReader(data)), read(iotest.HalfReader(bytes.NewReader(data))))
	})
}
