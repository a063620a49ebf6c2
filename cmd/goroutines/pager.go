// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/term"
)

// pagerVariable is the environment variable with the pager of this command, which takes
// precedence over PAGER. Empty or cat: none.
const pagerVariable = "GOROUTINES_PAGER"

// page writes to w, with a pager if w is a terminal and what is written does not fit on
// it, as git does.
func (f *terminalFlags) page(ctx context.Context, w io.Writer, write func(io.Writer) error) error {
	file, ok := w.(*os.File)
	command := pagerCommand()
	if !ok || f.noPager || command == "" || !isTerminal(w) || dumb() {
		return write(w)
	}
	var text bytes.Buffer
	if err := write(&text); err != nil {
		return err
	}
	_, height, err := term.GetSize(int(file.Fd()))
	if err != nil || bytes.Count(text.Bytes(), []byte("\n")) < height || !runPager(ctx, command, text.Bytes(), file) {
		_, err := file.Write(text.Bytes())
		return err
	}
	return nil
}

// pagerCommand returns the command line of the pager, or "" if there is to be none.
func pagerCommand() string {
	command, ok := os.LookupEnv(pagerVariable)
	if !ok {
		command, ok = os.LookupEnv("PAGER")
	}
	if !ok {
		command = "less"
	}
	if command = strings.TrimSpace(command); command == "cat" {
		return ""
	}
	return command
}

// runPager shows a text with a pager and waits for its end. It reports whether the pager
// could be run. How the pager ends, and whether it reads all of the text, is of no
// concern.
func runPager(ctx context.Context, command string, text []byte, terminal *os.File) bool {
	pager := pagerProcess(command)
	pager.Stdin, pager.Stdout, pager.Stderr = bytes.NewReader(text), terminal, os.Stderr
	pager.Env = os.Environ()
	for _, v := range []string{"LESS=FRX", "LV=-c"} { // as git: colours, and no more than the text if it is short
		if name, _, _ := strings.Cut(v, "="); os.Getenv(name) == "" {
			pager.Env = append(pager.Env, v)
		}
	}
	if pager.Start() != nil {
		return false
	}
	// The terminal sends Ctrl-C to both: it is the pager's. This comes after the start,
	// because the pager would inherit it.
	signal.Ignore(os.Interrupt)
	defer signal.Reset(os.Interrupt)
	stop := context.AfterFunc(ctx, func() {
		if pager.Process.Signal(syscall.SIGTERM) != nil {
			pager.Process.Kill()
		}
	})
	defer stop()
	err := pager.Wait()
	var exit *exec.ExitError
	missing := errors.As(err, &exit) && (exit.ExitCode() == 126 || exit.ExitCode() == 127) // says the shell
	return !missing
}

// pagerProcess returns the process of a pager. As with git, a shell runs it if it is more
// than words.
func pagerProcess(command string) *exec.Cmd {
	if runtime.GOOS != "windows" && strings.ContainsAny(command, "|&;<>()$`\\\"'*?[#~=%") {
		return exec.Command("sh", "-c", command)
	}
	words := strings.Fields(command)
	return exec.Command(words[0], words[1:]...)
}

// untilClosed calls a function that writes to standard output. That its reader has closed
// a pipe, as head does, is no error: the exit status stays that of the report.
func untilClosed(write func() error) error {
	closed := make(chan os.Signal, 1)
	signal.Notify(closed, syscall.SIGPIPE) // otherwise the runtime would end the process
	defer signal.Stop(closed)
	if err := write(); !errors.Is(err, syscall.EPIPE) {
		return err
	}
	return nil
}
