// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build unix

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withKubectl puts the fake kubectl into the PATH. told returns what it was called
// with, without the process IDs.
func withKubectl(t *testing.T, target string) (told func() []string) {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\n%s=%q exec %q \"$@\"\n", beKubectl, dir, os.Args[0])
	require.NoError(t, os.WriteFile(filepath.Join(dir, "kubectl"), []byte(script), 0o700))
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv(kubectlTarget, target)
	told = func() (calls []string) {
		data, _ := os.ReadFile(filepath.Join(dir, "told"))
		for line := range strings.Lines(string(data)) {
			_, args, _ := strings.Cut(strings.TrimSpace(line), " ")
			calls = append(calls, args)
		}
		return calls
	}
	t.Cleanup(func() {
		data, _ := os.ReadFile(filepath.Join(dir, "told"))
		for line := range strings.Lines(string(data)) {
			pid, _, _ := strings.Cut(line, " ")
			n, err := strconv.Atoi(pid)
			require.NoError(t, err)
			if err := syscall.Kill(n, 0); !errors.Is(err, syscall.ESRCH) {
				t.Errorf("kubectl, process %d, still runs: %v", n, err)
				syscall.Kill(n, syscall.SIGKILL)
			}
		}
	})
	return told
}

func TestKubernetes(t *testing.T) {
	addr, _ := start(t)
	for name, c := range map[string]struct {
		args []string
		told string
		want string // in the report
	}{
		"a trace":                {[]string{"pod/shop-1:6060"}, "port-forward --address=127.0.0.1 pod/shop-1 :6060", "from the execution trace"},
		"a profile":              {[]string{"--endpoint", "profile", "sales/shop-1:pprof"}, "--namespace=sales port-forward --address=127.0.0.1 pod/shop-1 :pprof", ""},
		"a page":                 {[]string{"pod/shop-1:6060/debug/pprof/goroutine?debug=2"}, "port-forward --address=127.0.0.1 pod/shop-1 :6060", ""},
		"a deployment":           {[]string{"--context", "prod", "-n", "sales", "deploy/shop:6060"}, "--context=prod --namespace=sales port-forward --address=127.0.0.1 deployment/shop :6060", ""},
		"its own namespace wins": {[]string{"-n", "other", "sales/svc/shop:80"}, "--namespace=sales port-forward --address=127.0.0.1 service/shop :80", ""},
		"samples":                {[]string{"--samples", "2", "--every", "1ms", "pod/shop-1:6060"}, "port-forward --address=127.0.0.1 pod/shop-1 :6060", ""},
	} {
		t.Run(name, func(t *testing.T) {
			told := withKubectl(t, addr)
			status, stdout, stderr := call(t, "", append([]string{"report"}, c.args...)...)
			require.Zero(t, status, stderr)
			assert.Contains(t, stdout, "main.worker")
			assert.Equal(t, []string{c.told}, told(), "one kubectl for all requests")
		})
	}
}

// TestKubectlIsStartedAgain uses a kubectl that ends with its first connection.
func TestKubectlIsStartedAgain(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		io.WriteString(w, "goroutine profile: total 1\n1 @ 0x1\n#\t0x1\tmain.main+0x1\t/src/main.go:1\n\n")
	}))
	defer s.Close()
	told := withKubectl(t, "once "+s.Listener.Addr().String())
	watchUntil(t, func(string) bool { return len(told()) >= 3 }, "-interval", "100ms", "-endpoint", "profile", "pod/shop:6060")
}

func TestKubernetesErrors(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	for target, want := range map[string]string{
		"not found":            `GET pod/shop:6060/debug/pprof/trace?seconds=0.005: kubectl port-forward --address=127.0.0.1 pod/shop :6060: Error from server (NotFound): pods "shop" not found`,
		"silent":               "no connection within 300ms (--timeout): kubectl port-forward --address=127.0.0.1 pod/shop :6060 has not answered",
		closed.Addr().String(): "the connection was closed without a response; is the port right?",
	} {
		t.Run(target, func(t *testing.T) {
			withKubectl(t, target)
			timeout := "30s"
			if target == "silent" {
				timeout = "300ms"
			}
			status, _, stderr := call(t, "", "report", "--timeout", timeout, "pod/shop:6060")
			requireOneLine(t, status, stderr, want)
		})
	}
	t.Setenv("PATH", t.TempDir())
	status, _, stderr := call(t, "", "report", "pod/shop:6060")
	requireOneLine(t, status, stderr, "kubectl is not installed, which connects to pods; install it, or forward the port in another way and give localhost:PORT")
}
