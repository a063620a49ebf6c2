// Package children runs programs as processes of their own, some side by side.
package children

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// grace is how much longer than asked a child may take: to start, to end, and
// to be behind on a loaded machine.
const grace = 2 * time.Minute

// Ask runs a program, which is to take d, and reads what it prints as JSON. A
// nil env is that of this process. The error says how it failed, with the end
// of what it wrote to its standard error.
func Ask(ctx context.Context, d time.Duration, answer any, env []string, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(ctx, d+grace)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = env, &stdout, &stderr
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		err = fmt.Errorf("it did not end within %v", d+grace)
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
	places := make(chan struct{}, parallel)
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i := range n {
		places <- struct{}{}
		all.Go(func() {
			defer func() { <-places }()
			do(i)
			mu.Lock()
			defer mu.Unlock()
			done++
			tell(i, done)
		})
	}
	all.Wait()
}
