// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package discovery

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	core "k8s.io/api/core/v1"
)

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// documented returns the examples of the documentation, as the field of the receiver.
func documented(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../discovery.md")
	require.NoError(t, err)
	var all []string
	for _, m := range yamlBlock.FindAllStringSubmatch(string(text), -1) {
		yaml, ok := strings.CutPrefix(m[1], "receivers:\n  goroutine:\n")
		require.True(t, ok, m[1])
		all = append(all, yaml)
	}
	return all
}

func TestDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../discovery.md")
	require.NoError(t, err)
	for _, key := range strings.Split(accepted(), ", ") {
		assert.Contains(t, string(text), "| `"+key+"` |", "the table of keys")
	}
	for _, bound := range []string{fmt.Sprint(maxLabels), fmt.Sprint(maxName), "1,024"} {
		assert.Contains(t, string(text), bound)
	}
	all := documented(t)
	require.NotEmpty(t, all)
	for _, yaml := range all {
		_, err := read(strings.ReplaceAll(yaml, "${env:INVENTORY_TOKEN}", "${PORT}"))
		assert.NoError(t, err, yaml)
	}
}

// podsOf is the example for Kubernetes, with settings that reach the server.
func podsOf(t *testing.T, k *kube) string {
	t.Helper()
	for _, yaml := range documented(t) {
		if strings.Contains(yaml, "- role: pod\n") {
			return strings.Replace(yaml, "- role: pod\n", "- {role: pod, "+k.config+"}\n", 1)
		}
	}
	t.Fatal("no example for pods")
	return ""
}

func TestDocumentedRulesKeepPodsThatOptIn(t *testing.T) {
	a := pod("shop", "a", "10.0.0.1")
	a.Labels = map[string]string{"app.kubernetes.io/name": "checkout"}
	a.Annotations = map[string]string{"otelgoroutine/scrape": "true", "otelgoroutine/port": "6060", "otelgoroutine/path": "/x/pprof/"}
	without := pod("shop", "without", "10.0.0.2")
	without.Annotations = nil
	ended := pod("shop", "ended", "10.0.0.3")
	ended.Annotations, ended.Status.Phase = a.Annotations, core.PodSucceeded
	k := newKube(t, a, without, ended)
	r := run(t, 10, podsOf(t, k))
	u := r.await(t, "http://10.0.0.1:6060/x/pprof/")
	assert.Equal(t, map[string]string{"job": "checkout", "instance": "a"}, u.Targets[0].Labels)
}
