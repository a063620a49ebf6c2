// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// module is the path of this module. Its folder contains the files for
// operators.
const module = "github.com/otelgoroutine/go/collector-config"

// Folder returns the path of the folder collector-config. It works anywhere in
// the repository, because it asks the go command.
func Folder(ctx context.Context) (string, error) {
	out, err := run(ctx, ".", nil, "go", "list", "-m", "-f", "{{.Dir}}", module)
	return strings.TrimSpace(out), err
}

// BuildCollector builds distribution/ and returns the path of the program. The
// first build takes minutes. After that, the build cache has everything but the
// link step.
func BuildCollector(ctx context.Context, folder string) (string, error) {
	return build(ctx, folder, "distribution", "otelcol-goroutine")
}

// BuildExample builds the example service with the modules of the workspace. It
// returns the path of the program.
func BuildExample(ctx context.Context, folder string) (string, error) {
	return build(ctx, folder, filepath.Join("..", "example"), "example")
}

// BuildKubernetes builds the API server for tests, which stands in for that of
// Kubernetes. It returns the path of the program.
func BuildKubernetes(ctx context.Context, folder string) (string, error) {
	return build(ctx, folder, filepath.Join("..", "collector", "goroutinereceiver", "internal", "fakekube", "fakekube"), "fakekube")
}

// build builds the program in dir, which is relative to folder, in the workspace
// that this folder belongs to.
func build(ctx context.Context, folder, dir, name string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path, err := filepath.Abs(filepath.Join(folder, ".build", name))
	if err != nil {
		return "", err
	}
	_, err = run(ctx, filepath.Join(folder, dir), []string{"GOWORK=", "GOFLAGS="}, "go", "build", "-ldflags=-s -w", "-o", path, ".")
	return path, err
}

func run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s in %s: %w\n%s", strings.Join(cmd.Args, " "), dir, err, &stderr)
	}
	return string(out), nil
}
