// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// patience is how long a test waits for something. Programs tell their fault
	// within seconds; a machine short of CPUs takes longer.
	patience = 5 * time.Minute
	// poll is the time between two inspections of what has arrived.
	poll = 20 * time.Millisecond
	// maxOutput is how much of the standard output and of the standard error of a
	// program is kept, in bytes.
	maxOutput = 1 << 20
)

// A Process is a running program. Its methods are safe for concurrent use.
type Process struct {
	tb             testing.TB
	cmd            *exec.Cmd
	stdin          io.Closer
	stdout, stderr output
	ended          chan struct{} // closed when the program has ended
	err            error         // how it ended; set before ended is closed
}

// Start builds the program in programs/name, relative to the folder of the test, and
// starts it. The environment is that of the test without the variables of
// OpenTelemetry and of this module, and then env, as "NAME=value".
//
// The program is told to end, and its end is waited for, when the test ends. Then it
// must exit with status 0, which Start's cleanup checks.
func Start(tb testing.TB, name string, env ...string) *Process {
	tb.Helper()
	p := &Process{tb: tb, cmd: exec.Command(Build(tb, name)), ended: make(chan struct{})}
	p.cmd.Env = append(environment(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	stdin, err := p.cmd.StdinPipe()
	if err == nil {
		err = p.cmd.Start()
	}
	if err != nil {
		tb.Fatalf("programs/%s: %v", name, err)
	}
	p.stdin = stdin
	go func() {
		p.err = p.cmd.Wait()
		close(p.ended)
	}()
	tb.Cleanup(p.cleanup)
	return p
}

// Stdout returns what the program has written to its standard output so far, at most
// 1 MiB.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr returns what the program has written to its standard error so far, at most
// 1 MiB.
func (p *Process) Stderr() string { return p.stderr.String() }

// Await waits until the condition holds. It fails the test, with what the program has
// written, if the program ends before that or if it takes minutes. what says what is
// waited for.
func (p *Process) Await(what string, condition func() bool) {
	p.tb.Helper()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	late := time.NewTimer(patience)
	defer late.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-p.ended:
			if condition() {
				return
			}
			p.fail("the program ended (%v) before %s", p.err, what)
		case <-late.C:
			p.fail("no %s within %v", what, patience)
		}
	}
}

// AwaitStderr waits until the standard error has a text, and returns the line with the
// first one.
func (p *Process) AwaitStderr(text string) string {
	return p.awaitLine("standard error", p.Stderr, text)
}

// AwaitStdout waits until the standard output has a text, and returns the line with
// the first one.
func (p *Process) AwaitStdout(text string) string {
	return p.awaitLine("standard output", p.Stdout, text)
}

func (p *Process) awaitLine(where string, written func() string, text string) (line string) {
	p.tb.Helper()
	p.Await("a line with "+text+" on the "+where, func() bool {
		lines := Lines(written(), text)
		if len(lines) > 0 {
			line = lines[0]
		}
		return len(lines) > 0
	})
	return line
}

// Lines returns the complete lines of what was written that have a text.
func Lines(written, text string) (lines []string) {
	for line := range strings.Lines(written) {
		if strings.HasSuffix(line, "\n") && strings.Contains(line, text) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

// Stop tells the program to end and waits for it. It returns how it ended, nil for
// exit status 0.
func (p *Process) Stop() error {
	_ = p.stdin.Close() // what the programs wait for
	select {
	case <-p.ended:
		return p.err
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.ended
		return p.err
	}
}

func (p *Process) cleanup() {
	if err := p.Stop(); err != nil && !p.tb.Failed() {
		p.tb.Errorf("the program ended: %v\n%s", err, p.written())
	}
}

func (p *Process) fail(format string, args ...any) {
	p.tb.Helper()
	p.tb.Fatalf(format+"\n%s", append(args, p.written())...)
}

func (p *Process) written() string {
	return "standard output:\n" + p.Stdout() + "standard error:\n" + p.Stderr()
}

// environment returns the environment of this process without what tells a program
// how to send its telemetry.
func environment() (env []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "OTEL") && !strings.HasPrefix(v, "GODEBUG=") {
			env = append(env, v)
		}
	}
	return env
}

// An output keeps what a program writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write keeps b as far as there is room, and accepts all of it.
func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b[:min(len(b), maxOutput-o.text.Len())])
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// built has the programs that were built, by name.
var built struct {
	sync.Mutex
	dir      string
	programs map[string]string
}

// Build builds the program in programs/name, relative to the folder of the test, once
// in a run of the tests, and returns the path of the executable. [Main] removes it.
func Build(tb testing.TB, name string) string {
	tb.Helper()
	built.Lock()
	defer built.Unlock()
	if path := built.programs[name]; path != "" {
		return path
	}
	path, err := build(name)
	if err != nil {
		tb.Fatal(err)
	}
	built.programs[name] = path
	return path
}

// Main runs the tests of a package and removes what [Build] built. TestMain of a
// package that uses Build or Start calls it.
func Main(m *testing.M) {
	status := m.Run()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir)
	}
	os.Exit(status)
}

func build(name string) (path string, err error) {
	if built.dir == "" {
		if built.dir, err = os.MkdirTemp("", "e2e-"); err != nil {
			return "", err
		}
		built.programs = make(map[string]string)
	}
	path = filepath.Join(built.dir, name)
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	folder := filepath.Join("programs", name)
	if err := read(folder); err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", path, "./"+filepath.ToSlash(folder))
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", &buildError{strings.Join(cmd.Args, " "), err, out}
	}
	return path, nil
}

// read reads what a program is built from: "go test" takes the result of an earlier run
// unless a file has changed that the test itself reads.
func read(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return err
	}
	if len(files) == 0 {
		return errors.New(folder + ": no such program")
	}
	for _, file := range append(files, "go.mod", "go.sum") {
		_, _ = os.ReadFile(file)
	}
	return nil
}

// A buildError says why a program could not be built.
type buildError struct {
	command string
	err     error
	out     []byte
}

func (e *buildError) Error() string { return e.command + ": " + e.err.Error() + "\n" + string(e.out) }
