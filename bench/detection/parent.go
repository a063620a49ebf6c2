package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/otelgoroutine/go/bench/detection/corpus"
	"github.com/otelgoroutine/go/bench/detection/internal/children"
)

// A settingResult is what came out of one setting.
type settingResult struct {
	Setting setting
	Results []result // in the order of the corpus
}

// runSetting runs all scenarios in one setting, some side by side.
func runSetting(ctx context.Context, o options, s setting, progress io.Writer) (settingResult, error) {
	program, remove, err := program(ctx, s)
	if err != nil {
		return settingResult{}, err
	}
	defer remove()
	fmt.Fprintf(progress, "%s: %d programs, %d side by side, %v each\n", s, len(o.scenarios), o.parallel, o.duration)
	results := make([]result, len(o.scenarios))
	children.SideBySide(len(results), o.parallel, func(i int) {
		seen, err := runChild(ctx, program, &o, s, &o.scenarios[i])
		results[i] = judge(&o.scenarios[i], seen, err, s)
	}, func(i, done int) {
		fmt.Fprintf(progress, "[%d/%d] %s: %s\n", done, len(results), o.scenarios[i].Name, results[i].short())
	})
	return settingResult{s, results}, ctx.Err()
}

// runChild runs one scenario in a process of its own.
func runChild(ctx context.Context, program string, o *options, s setting, scenario *corpus.Scenario) (*observation, error) {
	text, err := json.Marshal(order{scenario.Name, o.scale, o.duration, s.Proof})
	if err != nil {
		return nil, err
	}
	var seen observation
	if err := children.Ask(ctx, o.duration, &seen, append(os.Environ(), childVariable+"="+string(text)), program); err != nil {
		return nil, err
	}
	return &seen, nil
}

// program returns the program to run as a child in a setting: this one where
// that will do, or one that is built for it, which remove removes.
func program(ctx context.Context, s setting) (path string, remove func(), err error) {
	experiment := s.Proof && strings.HasPrefix(s.Toolchain, "go1.26")
	if s.Toolchain == runtime.Version() && !experiment {
		path, err = os.Executable()
		return path, func() {}, err
	}
	dir, err := os.MkdirTemp("", "detection")
	if err != nil {
		return "", nil, err
	}
	path = filepath.Join(dir, "child")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/otelgoroutine/go/bench/detection")
	toolchain, _, _ := strings.Cut(s.Toolchain, " ") // the rest names experiments
	cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain)
	if experiment {
		cmd.Env = append(cmd.Env, "GOEXPERIMENT=goroutineleakprofile")
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		os.RemoveAll(dir)
		return "", nil, fmt.Errorf("building for it, which works within the repository only: %w: %s", err, children.Tail(string(out), 2000))
	}
	return path, func() { os.RemoveAll(dir) }, nil
}
