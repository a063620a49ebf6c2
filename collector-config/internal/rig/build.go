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

// module is this module; its folder holds the files for operators.
const module = "github.com/otelgoroutine/go/collector-config"

// Folder returns the folder collector-config. The go command finds it, from
// anywhere in the repository.
func Folder(ctx context.Context) (string, error) {
	out, err := run(ctx, ".", nil, "go", "list", "-m", "-f", "{{.Dir}}", module)
	return strings.TrimSpace(out), err
}

// BuildCollector builds distribution/ and returns the path of the program. The
// first time that takes minutes; then the build cache has all but the link.
func BuildCollector(ctx context.Context, folder string) (string, error) {
	return build(ctx, folder, "distribution", "otelcol-goroutine", "GOWORK=off")
}

// BuildExample builds the example service, with the modules of the workspace,
// and returns the path of the program.
func BuildExample(ctx context.Context, folder string) (string, error) {
	return build(ctx, folder, filepath.Join("..", "example"), "example")
}

// build builds the module in dir, which is relative to folder. The distribution
// is no part of the workspace.
func build(ctx context.Context, folder, dir, name string, env ...string) (string, error) {
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	path, err := filepath.Abs(filepath.Join(folder, ".build", name))
	if err != nil {
		return "", err
	}
	_, err = run(ctx, filepath.Join(folder, dir), append(env, "GOFLAGS="), "go", "build", "-ldflags=-s -w", "-o", path, ".")
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
