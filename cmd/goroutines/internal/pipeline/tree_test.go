// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pipeline

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/report"
)

// checkout writes files into the current directory, which is a new one.
func checkout(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	t.Chdir(dir)
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o644))
	}
	return dir
}

const mainFile = `package main

func main() { serve() }
func serve() {
	return
}
func (a *account[T]) deposit() {
	func() {
	}()
}
`

func TestFilesOfACheckout(t *testing.T) {
	dir := checkout(t, map[string]string{
		"go.mod":                   "module example.test/shop/v2\n",
		"main.go":                  mainFile,
		"cmd/admin/main.go":        mainFile,
		"internal/cart/cart.go":    "package cart\n",
		"api.v1/api.go":            "package api\n",
		"internal/cart/a_test.go":  "package cart_test\n",
		"root.go":                  "package shop\n",
		"services/mail/go.mod":     "module example.test/mail\n",
		"services/mail/smtp/in.go": "package smtp\n",
	})
	tree, err := NewTree([]string{".", "services/mail"})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		frame report.Frame
		want  string
	}{
		"built here":                    {report.Frame{Function: "example.test/shop/v2/internal/cart.(*Cart).Add", File: dir + "/internal/cart/cart.go"}, "internal/cart/cart.go"},
		"built elsewhere":               {report.Frame{Function: "example.test/shop/v2/internal/cart.(*Cart).Add", File: "/src/internal/cart/cart.go"}, "internal/cart/cart.go"},
		"built on Windows":              {report.Frame{Function: "example.test/shop/v2/internal/cart.(*Cart).Add", File: "C:/src/internal/cart/cart.go"}, "internal/cart/cart.go"},
		"built with -trimpath":          {report.Frame{Function: "example.test/shop/v2/internal/cart.(*Cart).Add", File: "example.test/shop/v2/internal/cart/cart.go"}, "internal/cart/cart.go"},
		"type arguments":                {report.Frame{Function: "example.test/shop/v2/internal/cart.Add[example.test/other/pkg.T]", File: "/src/internal/cart/cart.go"}, "internal/cart/cart.go"},
		"an escaped path":               {report.Frame{Function: "example.test/shop/v2/api%2ev1.Serve", File: "/src/api.v1/api.go"}, "api.v1/api.go"},
		"a test":                        {report.Frame{Function: "example.test/shop/v2/internal/cart_test.TestAdd", File: "/src/internal/cart/a_test.go"}, "internal/cart/a_test.go"},
		"the root package":              {report.Frame{Function: "example.test/shop/v2.Open", File: "/src/root.go"}, "root.go"},
		"another module":                {report.Frame{Function: "example.test/mail/smtp.In", File: "/src/smtp/in.go"}, "services/mail/smtp/in.go"},
		"package main":                  {report.Frame{Function: "main.serve", File: "/src/main.go", Line: 4}, "main.go"},
		"package main below":            {report.Frame{Function: "main.serve", File: "/src/cmd/admin/main.go", Line: 4}, "cmd/admin/main.go"},
		"a method of package main":      {report.Frame{Function: "main.(*account[...]).deposit.func1", File: "/src/main.go", Line: 8}, "main.go"},
		"package main with -trimpath":   {report.Frame{Function: "main.main", File: "example.test/shop/v2/cmd/admin/main.go", Line: 4}, "cmd/admin/main.go"},
		"main of another program":       {report.Frame{Function: "main.transfer", File: "/src/main.go", Line: 4}, ""},
		"another version of main":       {report.Frame{Function: "main.serve", File: "/src/main.go", Line: 8}, ""},
		"a function of every program":   {report.Frame{Function: "main.main", File: "/src/main.go", Line: 3}, ""},
		"a file that is not there":      {report.Frame{Function: "example.test/shop/v2/internal/gone.F", File: "/src/internal/gone/gone.go"}, ""},
		"a module with a longer name":   {report.Frame{Function: "example.test/shop/v2x/internal/cart.F", File: "/src/internal/cart/cart.go"}, ""},
		"the module cache":              {report.Frame{Function: "example.test/other.F", File: "/go/pkg/mod/example.test/other@v1.0.0/main.go"}, ""},
		"the standard library":          {report.Frame{Function: "net/http.(*Server).Serve", File: "/usr/local/go/src/net/http/server.go", Standard: true}, ""},
		"a file outside by its path":    {report.Frame{Function: "example.test/other.F", File: dir + "/../main.go", Line: 4}, ""},
		"without a file":                {report.Frame{Function: "main.main"}, ""},
		"without a package in its name": {report.Frame{Function: "_rt0_amd64", File: "/src/rt0.s"}, ""},
	} {
		assert.Equal(t, c.want, tree.file(&c.frame), name)
	}
}

// TestTheRootsOfACheckout checks what paths are relative to.
func TestTheRootsOfACheckout(t *testing.T) {
	dir := checkout(t, map[string]string{"services/shop/go.mod": "module example.test/shop\n", "services/shop/a.go": "package shop\n", "x/y": ""})
	frame := &report.Frame{Function: "example.test/shop.A", File: "/src/a.go"}
	for root, want := range map[string]string{"services/shop": "services/shop/a.go", dir + "/services/shop": "services/shop/a.go", ".": ""} {
		tree, err := NewTree([]string{root})
		require.NoError(t, err)
		assert.Equal(t, want, tree.file(frame), root)
	}
	t.Chdir(filepath.Join(dir, "x"))
	tree, err := NewTree([]string{"../services/shop"})
	require.NoError(t, err)
	assert.Equal(t, "a.go", tree.file(frame), "no path leaves the current directory")

	_, err = NewTree([]string{"absent"})
	require.ErrorContains(t, err, "absent")
	_, err = NewTree([]string{"y"})
	require.EqualError(t, err, "y is no directory")
}

// TestThePlaceOfAFinding checks which frame is shown.
func TestThePlaceOfAFinding(t *testing.T) {
	checkout(t, map[string]string{"go.mod": "module example.test/shop\n", "a.go": "package shop\n", "b.go": "package shop\n"})
	tree, err := NewTree([]string{"."})
	require.NoError(t, err)
	own := func(file string, line int) report.Frame {
		return report.Frame{Function: "example.test/shop.F", File: "/src/" + file, Line: line}
	}
	library := report.Frame{Function: "example.test/lib.F", File: "/mod/example.test/lib@v1.0.0/f.go", Line: 3}
	a, b := own("a.go", 1), own("b.go", 2)
	for name, c := range map[string]struct {
		finding report.Finding
		file    string
		line    int
	}{
		"its place":         {report.Finding{At: &a, Frames: []report.Frame{b}}, "a.go", 1},
		"a caller":          {report.Finding{At: &library, Frames: []report.Frame{library, b}}, "b.go", 2},
		"a participant":     {report.Finding{At: &library, Participants: []report.Participant{{At: &b}}}, "b.go", 2},
		"the creator":       {report.Finding{At: &library, CreatedBy: &a}, "a.go", 1},
		"none of this tree": {report.Finding{At: &library}, "", 0},
		"no place":          {report.Finding{}, "", 0},
	} {
		f := Finding{Finding: c.finding}
		tree.Locate(&f)
		assert.Equal(t, c.file, f.File, name)
		assert.Equal(t, c.line, f.Line, name)
	}
}
