// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// A bench is what measurements have in common.
type bench struct {
	program  string    // the Collector
	folder   string    // with the configuration of operators
	dir      string    // for what the programs write
	progress io.Writer // sentences about what is under way
}

// newBench builds the Collector.
func newBench(ctx context.Context, dir string, progress io.Writer) (b bench, err error) {
	b = bench{dir: dir, progress: progress}
	if b.folder, err = rig.Folder(ctx); err != nil {
		return b, err
	}
	b.tell("building the Collector, which takes minutes the first time")
	b.program, err = rig.BuildCollector(ctx, b.folder)
	return b, err
}

// tell says what is under way.
func (b bench) tell(format string, args ...any) {
	fmt.Fprintf(b.progress, "%s  %s\n", time.Now().Format(time.TimeOnly), fmt.Sprintf(format, args...))
}

// in returns a bench with a directory of its own.
func (b bench) in(name string) (bench, error) {
	b.dir = filepath.Join(b.dir, name)
	return b, os.Mkdir(b.dir, 0o755)
}

// measure measures what o says, and writes the figures.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "otelgoroutine-scale-")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w; the output of the programs is in %s", err, dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	b, err := newBench(ctx, dir, stderr)
	if err != nil {
		return err
	}
	all := results{now: time.Now(), machine: thisMachine() + versions(ctx, b.program)}
	if o.only != "receiver" {
		if all.gateway, err = measureGateway(ctx, o, b); err != nil {
			return fmt.Errorf("gateway: %w", err)
		}
	}
	if o.only != "gateway" {
		if all.receiver, err = measureReceiver(ctx, o, b); err != nil {
			return fmt.Errorf("receiver: %w", err)
		}
	}
	return all.report(o, stdout)
}

// versions returns what the programs call themselves, for the report.
func versions(ctx context.Context, collector string) (text string) {
	prometheus, _, err := rig.FindPrometheus()
	if err != nil {
		return ""
	}
	for _, program := range []string{collector, prometheus} {
		out, err := exec.CommandContext(ctx, program, "--version").CombinedOutput()
		line, _, _ := strings.Cut(string(out), "\n")
		line, _, _ = strings.Cut(line, " (")
		if err == nil && line != "" {
			text += ", " + line
		}
	}
	return text
}
