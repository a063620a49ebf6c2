// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// listed returns every function that detectors/known.go names as a place where
// goroutines wait by design.
func listed(t *testing.T) (functions []string) {
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "known.go"), nil, 0)
	require.NoError(t, err)
	consts := make(map[string]string)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Names) == len(spec.Values) {
			for i, name := range spec.Names {
				if s, ok := text(spec.Values[i], consts); ok {
					consts[name.Name] = s
				}
			}
		}
		return true
	})
	matchers := []string{"entry", "leaf", "loop", "cond", "reader", "has"}
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := call.Fun.(*ast.Ident); !ok || !slices.Contains(matchers, name.Name) {
			return true
		}
		for _, arg := range call.Args {
			if s, ok := text(arg, consts); ok {
				functions = append(functions, s)
			}
		}
		return true
	})
	require.Greater(t, len(functions), 40)
	return functions
}

// text evaluates a string: a literal, a constant, or a sum of both.
func text(e ast.Expr, consts map[string]string) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil
	case *ast.Ident:
		s, ok := consts[e.Name]
		return s, ok
	case *ast.BinaryExpr:
		x, okX := text(e.X, consts)
		y, okY := text(e.Y, consts)
		return x + y, okX && okY
	}
	return "", false
}

// elsewhere reports whether function belongs to another Go version than this:
// HTTP/2 moved within net/http with Go 1.27, and golang.org/x/net/http2 has since
// left the work to it.
func elsewhere(function string) bool {
	moved := !strings.HasPrefix(runtime.Version(), "go1.26")
	return (strings.HasPrefix(function, "net/http.(*http2") || strings.HasPrefix(function, "golang.org/x/net/http2.")) && moved ||
		strings.HasPrefix(function, "net/http/internal/http2.") && !moved
}

// source lists what needs a control plane to run: an xDS server or a balancer
// by remote control, of which there is none here. That they exist is read in
// the source.
var source = []string{
	"google.golang.org/grpc/internal/xds/clients/internal/syncutil.(*CallbackSerializer).run",
	"google.golang.org/grpc/internal/xds/balancer/priority.(*priorityBalancer).run",
	"google.golang.org/grpc/internal/xds/balancer/outlierdetection.(*outlierDetectionBalancer).run",
	"google.golang.org/grpc/balancer/grpclb.(*remoteBalancerCCWrapper).watchRemoteBalancer",
}

var method = regexp.MustCompile(`^google\.golang\.org/grpc/(.+)\.\(\*(\w+)\)\.(\w+)$`)

// TestSource looks up in the source of gRPC what cannot be run here, and that
// it is started as a goroutine.
func TestSource(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/grpc").Output()
	require.NoError(t, err)
	for _, function := range source {
		m := method.FindStringSubmatch(function)
		require.NotNil(t, m, function)
		files, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(dir)), m[1], "*.go"))
		require.NoError(t, err)
		var all strings.Builder
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			all.Write(b)
		}
		require.Regexp(t, `(?m)^func \(\w+ \*`+m[2]+`\) `+m[3]+`\(`, all.String())
		require.Regexp(t, `(?m)^\s*go \w+\.`+m[3]+`\(`, all.String())
	}
}
