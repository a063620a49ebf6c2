// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAddresses reads a process at every kind of address.
func TestAddresses(t *testing.T) {
	addr, _ := start(t)
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	for address, source := range map[string]string{
		port: "trace", ":" + port: "trace", addr: "trace", "localhost:" + port: "trace", "http://" + addr: "trace",
		addr + "/debug/pprof/": "trace", "http://" + addr + "/debug/pprof/heap?debug=1": "trace",
		"http://" + addr + "/debug/pprof/trace?seconds=0.01": "trace", "http://" + addr + "/debug/goroutines/": "trace",
		addr + "/debug/pprof/goroutine?debug=2":              "text",
		"http://" + addr + "/debug/pprof/goroutine?debug=1":  "labelled_profile",
		"http://" + addr + "/debug/pprof/goroutine#anything": "labelled_profile",
	} {
		r := jsonReport(t, address)
		assert.Equal(t, source, r.Source, address)
		assert.Greater(t, r.Total, 20, address)
	}
	require.NoError(t, os.WriteFile(filepath.Join(".", port), []byte("goroutine 1 [running]:\nmain.main()\n\t/src/main.go:1\n"), 0o600))
	assert.Equal(t, 1, jsonReport(t, port).Total, "a file of that name is read")
	assert.Greater(t, jsonReport(t, ":"+port).Total, 20)
}

func TestNoSecretIsShown(t *testing.T) {
	addr, _ := start(t)
	status, stdout, stderr := call(t, "", "report", "-f", "json", "http://me:secret@"+addr+"/debug/pprof/goroutine?key=secret&debug=2")
	require.Zero(t, status, stderr)
	assert.NotContains(t, stdout+stderr, "secret")
	for _, address := range []string{"http://me:secret@127.0.0.1:1/?key=secret", "http://me:secret@h:port/?key=secret"} {
		for _, command := range []string{"report", "check"} {
			status, stdout, stderr = call(t, "", command, address)
			requireOneLine(t, status, stderr)
			assert.NotContains(t, stdout+stderr, "secret")
		}
	}
}
