// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/otelgoroutine/go/collector/goroutinereceiver/internal/fakekube"
)

// input tells that run waits for its end, by which time everything is written.
type input struct {
	waiting chan struct{}
	end     chan struct{}
}

func (i input) Read([]byte) (int, error) {
	close(i.waiting)
	<-i.end
	return 0, io.EOF
}

func TestAnotherProcessCanUseIt(t *testing.T) {
	dir := t.TempDir()
	in := input{make(chan struct{}), make(chan struct{})}
	done := make(chan error, 1)
	go func() { done <- run(dir, in) }()
	<-in.waiting

	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(dir, "kubeconfig"))
	require.NoError(t, err)
	assert.Equal(t, text(t, dir, "url"), config.Host)
	assert.Equal(t, text(t, dir, "ca.crt"), string(config.CAData))
	assert.Equal(t, fakekube.Token, text(t, dir, "token"))
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	w, err := client.CoreV1().Pods("shop").Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)

	r, err := http.NewRequest(http.MethodPut, text(t, dir, "control")+"/objects",
		strings.NewReader(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "shop", "name": "a"}}`))
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	require.NoError(t, answer.Body.Close())
	assert.Equal(t, http.StatusOK, answer.StatusCode)
	assert.EqualValues(t, "ADDED", (<-w.ResultChan()).Type)

	http.DefaultClient.CloseIdleConnections()
	close(in.end)
	assert.NoError(t, <-done)
	_, open := <-w.ResultChan()
	assert.False(t, open, "the watch ended")
}

func text(t *testing.T, dir, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(b)
}

func TestAFileInPlaceOfTheDirectoryIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	assert.Error(t, run(file, strings.NewReader("")))
}
