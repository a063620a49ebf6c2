// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// orderVariable makes a program carry out an order, which it holds as JSON,
// instead of being the command that it is.
const orderVariable = "OTELGOROUTINE_BENCH_ORDER"

// Grace is how much longer than asked a child may take: to start, to end, and to
// be behind on a loaded machine.
const Grace = 5 * time.Minute

// Child carries out the order that this process was started with and ends it,
// the answer on its standard output as JSON; it returns at once where there is
// no order. It belongs at the beginning of main, and of TestMain.
func Child[Order any](carryOut func(Order) (answer any, err error)) {
	text, ordered := os.LookupEnv(orderVariable)
	if !ordered {
		return
	}
	stdout := os.Stdout // whatever becomes of it
	var order Order
	err := json.Unmarshal([]byte(text), &order)
	if err == nil {
		var answer any
		if answer, err = carryOut(order); err == nil {
			err = json.NewEncoder(stdout).Encode(answer)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Command returns a program that is to carry out an order; "" is this program
// itself. When ctx ends it is made to dump its goroutines, and killed if that
// does not end it.
func Command(ctx context.Context, program string, order any, env ...string) (*exec.Cmd, error) {
	self, err := os.Executable()
	text, bad := json.Marshal(order)
	if err := errors.Join(err, bad); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, cmp.Or(program, self))
	cmd.Env = append(append(os.Environ(), env...), orderVariable+"="+string(text),
		"GORACE=atexit_sleep_ms=0") // else each child of the race detector sleeps a second at its end
	cmd.Cancel = func() error {
		if err := cmd.Process.Signal(syscall.SIGQUIT); err != nil {
			return cmd.Process.Kill() // Windows
		}
		return nil
	}
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

// Ask has a program carry out an order, which is to take d, and reads its
// answer. The error says how it failed, with the end of what it wrote to its
// standard error.
func Ask(ctx context.Context, d time.Duration, program string, order, answer any, env ...string) error {
	ctx, cancel := context.WithTimeout(ctx, d+Grace)
	defer cancel()
	cmd, err := Command(ctx, program, order, env...)
	if err != nil {
		return err
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it did not end within %v", d+Grace)
	case err == nil && stdout.Len() == 0:
		err = errors.New("it printed nothing")
	case err == nil:
		err = json.Unmarshal(stdout.Bytes(), answer)
	}
	if err != nil {
		return fmt.Errorf("%w; its standard error: %s", err, Tail(stderr.String(), 2000))
	}
	return nil
}

// Tail returns the end of s, most bytes of it.
func Tail(s string, most int) string {
	if len(s) > most {
		s = "…" + s[len(s)-most:]
	}
	return strings.TrimSpace(s)
}

// SideBySide calls do for 0 to n-1, at most parallel of them at once, and after
// each, one at a time, tell with how many are done. It returns when all are.
func SideBySide(n, parallel int, do func(i int), tell func(i, done int)) {
	var all errgroup.Group
	all.SetLimit(parallel)
	var mu sync.Mutex
	done := 0
	for i := range n {
		all.Go(func() error {
			do(i)
			mu.Lock()
			defer mu.Unlock()
			done++
			tell(i, done)
			return nil
		})
	}
	_ = all.Wait() // there are no errors
}
