package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/otelgoroutine/go/bench/detection/corpus"
)

// grace is how much longer than asked a child may take: to start, to end, and
// to be behind on a loaded machine.
const grace = 2 * time.Minute

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
	places := make(chan struct{}, o.parallel)
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range o.scenarios {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			seen, err := runChild(ctx, program, &o, s, &o.scenarios[i])
			results[i] = judge(&o.scenarios[i], seen, err, s)
			mu.Lock()
			defer mu.Unlock()
			done++
			fmt.Fprintf(progress, "[%d/%d] %s: %s\n", done, len(o.scenarios), o.scenarios[i].Name, results[i].short())
		})
	}
	all.Wait()
	return settingResult{s, results}, ctx.Err()
}

// runChild runs one scenario in a process of its own. The error says how that
// failed, with the end of what it wrote to its standard error.
func runChild(ctx context.Context, program string, o *options, s setting, scenario *corpus.Scenario) (*observation, error) {
	ctx, cancel := context.WithTimeout(ctx, o.duration+grace)
	defer cancel()
	text, err := json.Marshal(order{scenario.Name, o.scale, o.duration, s.Proof})
	if err != nil {
		return nil, err
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program)
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	err = cmd.Run()
	var seen observation
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it did not end within %v", o.duration+grace)
	case err == nil && stdout.Len() == 0:
		err = errors.New("it printed nothing")
	case err == nil:
		err = json.Unmarshal(stdout.Bytes(), &seen)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; its standard error: %s", err, tail(stderr.String(), 2000))
	}
	return &seen, nil
}

func tail(s string, most int) string {
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return strings.TrimSpace(s)
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
		return "", nil, fmt.Errorf("building for it, which works within the repository only: %w: %s", err, tail(string(out), 2000))
	}
	return path, func() { os.RemoveAll(dir) }, nil
}
