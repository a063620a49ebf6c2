// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A probed is a child process of the example whose probe is asked.
type probed struct {
	cmd    *exec.Cmd
	url    string
	client *http.Client
}

var pageAt = regexp.MustCompile(`http://127\.0\.0\.1:\d+` + regexp.QuoteMeta(pagePath))

// startProbed starts the example and waits until it shows where its page is.
func startProbed(t *testing.T, args ...string) *probed {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cmd := child(ctx, append([]string{"-http", anyPort}, args...)...)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	p := &probed{cmd: cmd, client: &http.Client{}}
	found := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			if url := pageAt.FindString(lines.Text()); url != "" {
				select {
				case found <- url:
				default:
				}
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-read
		_ = cmd.Wait() // it was killed, or has ended after its -duration
		p.client.CloseIdleConnections()
	})
	select {
	case page := <-found:
		p.url = page[:len(page)-len(pagePath)] + livePath
	case <-read:
		t.Fatal("the example ended and did not show where its page is")
	}
	return p
}

// ask returns the answer of the probe, or status 0 when the example has ended.
func (p *probed) ask(ctx context.Context) (status int, body string) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
	if err != nil {
		return 0, err.Error()
	}
	response, err := p.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	return response.StatusCode, string(text)
}

// each asks until a function says that it is enough, or the example has ended, and
// returns how often it was answered.
func (p *probed) each(t *testing.T, enough func(status int, body string) bool) (answers int) {
	beat := time.NewTicker(200 * time.Millisecond)
	defer beat.Stop()
	for {
		status, body := p.ask(t.Context())
		if status == 0 || enough(status, body) {
			return answers
		}
		answers++
		<-beat.C
	}
}

// TestTheProbeTellsTheHang: the workers stand after 20 s. For five times the six seconds
// of the demonstration that is only suspected.
func TestTheProbeTellsTheHang(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	t.Parallel()
	p := startProbed(t, "-faults", "hang", "-duration", "5m") // far longer than it takes
	var reason string
	healthy := p.each(t, func(status int, body string) bool {
		reason = body
		return status == http.StatusServiceUnavailable
	})
	assert.Positive(t, healthy, "the probe is healthy before")
	assert.Regexp(t, `^unhealthy: hang \(high\) at \S*\.\(\*press\)\.work \(faults\.go:\d+\): \d+ goroutines stand, open for \d+ s\n$`, reason)
}

func TestTheProbeOfAHealthyServiceIsHealthy(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ", minute)
	}
	t.Parallel()
	p := startProbed(t, "-faults", "none", "-duration", minute.String())
	answers := p.each(t, func(status int, body string) bool {
		assert.Equal(t, http.StatusOK, status, body)
		return false
	})
	assert.Positive(t, answers)
}
