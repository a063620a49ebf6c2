// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package chaintest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/collector-config/internal/rig"
)

// A cluster is an API server that speaks the protocol of Kubernetes, in a process
// of its own. Its pods are services on this machine.
type cluster struct {
	kubeconfig string
	control    string // URL of what changes the objects
}

// startCluster starts a cluster without pods that runs until the end of the test.
// A client may list and watch pods, and nothing else.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	program, err := rig.BuildKubernetes(t.Context(), folder)
	require.NoError(t, err)
	dir := t.TempDir()
	cmd, output := exec.Command(program, dir), new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = output, output
	until, err := cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = until.Close() // fails if the process has already ended; Wait reports that
		assert.NoError(t, cmd.Wait(), "%s", output)
	})
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig")}
	eventually(t, "the cluster", func() error {
		url, err := os.ReadFile(filepath.Join(dir, "control"))
		c.control = string(url)
		return err
	})
	c.send(t, http.MethodPut, "/rules", []any{map[string]any{
		"apiGroups": []string{""}, "resources": []string{"pods"}, "verbs": []string{"list", "watch"},
	}})
	return c
}

// start starts a pod. Its port named pprof is that of a service on this machine.
func (c *cluster) start(t *testing.T, name, app, address string) {
	t.Helper()
	c.send(t, http.MethodPut, "/objects", pod(t, name, app, address))
}

// end removes a pod.
func (c *cluster) end(t *testing.T, name, app, address string) {
	t.Helper()
	c.send(t, http.MethodDelete, "/objects", pod(t, name, app, address))
}

func pod(t *testing.T, name, app, address string) map[string]any {
	t.Helper()
	ip, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "namespace": "shop", "uid": "uid-of-" + name, "labels": map[string]string{"app": app}},
		"spec": map[string]any{"nodeName": "node-1", "containers": []any{map[string]any{
			"name": app, "ports": []any{map[string]any{"name": "pprof", "containerPort": number, "protocol": "TCP"}},
		}}},
		"status": map[string]any{"phase": "Running", "podIP": ip, "podIPs": []any{map[string]any{"ip": ip}}},
	}
}

func (c *cluster) send(t *testing.T, method, path string, body any) {
	t.Helper()
	text, err := json.Marshal(body)
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(t.Context(), method, c.control+path, bytes.NewReader(text))
	require.NoError(t, err)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	said, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, res.StatusCode, fmt.Sprintf("%s %s: %s", method, path, said))
}
