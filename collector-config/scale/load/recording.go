// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A Recording is what one process answered over time, oldest first: execution
// traces, each of a generation of its own, and goroutine profiles.
type Recording struct {
	Traces, Profiles [][]byte
}

// A Recorder makes recordings.
type Recorder struct {
	// Service returns a program that runs [RunService] with a seed, writes the
	// address as the first line of its standard output, and ends at the end of its
	// standard input.
	Service func(ctx context.Context, seed int) *exec.Cmd

	Processes int           // how many
	Moments   int           // traces and profiles of each
	Gap       time.Duration // from one to the next
}

// Record starts the processes side by side, records what they answer, and ends
// them.
func (r Recorder) Record(ctx context.Context) ([]Recording, error) {
	recordings, errs := make([]Recording, r.Processes), make([]error, r.Processes)
	var all sync.WaitGroup
	for i := range recordings {
		all.Go(func() {
			if recordings[i], errs[i] = r.record(ctx, i); errs[i] != nil {
				errs[i] = fmt.Errorf("recording process %d of %d: %w", i+1, r.Processes, errs[i])
			}
		})
	}
	all.Wait()
	return recordings, errors.Join(errs...)
}

// record records one process.
func (r Recorder) record(ctx context.Context, seed int) (all Recording, err error) {
	cmd := r.Service(ctx, seed)
	stdin, err1 := cmd.StdinPipe()
	stdout, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2); err != nil {
		return all, err
	}
	if err := cmd.Start(); err != nil {
		return all, err
	}
	defer func() { err = errors.Join(err, stdin.Close(), cmd.Wait()) }()
	address, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return all, fmt.Errorf("reading its address: %w", err)
	}
	pages := "http://" + strings.TrimSpace(address) + "/debug/pprof/"
	for range r.Moments {
		trace, err1 := get(ctx, pages+"trace?seconds=0.005")
		profile, err2 := get(ctx, pages+"goroutine")
		if err := errors.Join(err1, err2); err != nil {
			return all, err
		}
		all.Traces, all.Profiles = append(all.Traces, trace), append(all.Profiles, profile)
		pause(ctx, r.Gap)
	}
	return all, ctx.Err()
}

// maxPage is the maximum size of a page, in bytes.
const maxPage = 64 << 20

// get returns the body of a page.
func get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: status %s", url, response.Status)
	}
	return body, err
}
