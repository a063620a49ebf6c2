// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

const (
	// programPath is the package that the faults are laid over.
	programPath = "github.com/otelgoroutine/go/bench/detection/goroot/program"
	// faultsDir is where the Go distribution keeps them.
	faultsDir = "src/runtime/testdata/testgoroutineleakprofile"
)

var faultFiles = []string{"simple.go", "commonpatterns.go", "goker/*.go"}

// loop is how a fault that seldom happens is made to: by many instances.
var loop = regexp.MustCompile(`for i := 0; i < (\d{3,5}); i\+\+`)

// adapt makes a file of the Go distribution one of our program.
func adapt(source []byte) []byte {
	source = bytes.ReplaceAll(source, []byte(`pprof.Lookup("goroutineleak")`), []byte(`lookup(pprof.Lookup)`))
	return loop.ReplaceAll(source, []byte(`for i := 0; i < instances($1); i++`))
}

// layOver writes the adapted files to dir and returns what `go build -overlay`
// reads: in whose place in the package each of them is.
func layOver(goroot, packageDir, dir string) (map[string]string, error) {
	replace := make(map[string]string)
	for _, pattern := range faultFiles {
		paths, _ := filepath.Glob(filepath.Join(goroot, faultsDir, filepath.FromSlash(pattern)))
		for _, path := range paths {
			name := filepath.Base(path)
			if name == "main.go" {
				continue // their door; the program has its own
			}
			source, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			adapted := filepath.Join(dir, name)
			if err := os.WriteFile(adapted, adapt(source), 0o666); err != nil {
				return nil, err
			}
			replace[filepath.Join(packageDir, name)] = adapted
		}
	}
	if len(replace) == 0 {
		return nil, fmt.Errorf("no faults in %s: the sources of Go 1.26 or later have them", filepath.Join(goroot, faultsDir))
	}
	return replace, nil
}

// build builds the program with the faults of the Go distribution, in dir, and
// returns its path.
func build(ctx context.Context, dir string) (string, error) {
	goroot, err := output(ctx, "go", "env", "GOROOT")
	if err != nil {
		return "", err
	}
	packageDir, err := output(ctx, "go", "list", "-f", "{{.Dir}}", programPath)
	if err != nil {
		return "", fmt.Errorf("run this within the repository: %w", err)
	}
	replace, err := layOver(goroot, packageDir, dir)
	if err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	list, program := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "program")
	if err := os.WriteFile(list, overlay, 0o666); err != nil {
		return "", err
	}
	_, err = output(ctx, "go", "build", "-overlay", list, "-o", program, programPath)
	return program, err
}

// output runs a command and returns what it prints. The runtime's leak profile
// is an experiment of Go 1.26, and no longer one of 1.27.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = os.Environ()
	if strings.HasPrefix(runtime.Version(), "go1.26") {
		cmd.Env = append(cmd.Env, "GOEXPERIMENT=goroutineleakprofile")
	}
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(cmd.Args, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
