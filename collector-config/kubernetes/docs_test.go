// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// ours matches an overlay of this folder as the documentation names it.
var ours = regexp.MustCompile(`https://github\.com/otelgoroutine/go//collector-config/kubernetes/(\w+)\?ref=v[\d.]+`)

// documented builds the overlays of users that docs/kubernetes.md shows, on the files
// of this checkout.
func documented(t *testing.T) (all [][]runtime.Object) {
	t.Helper()
	text, err := os.ReadFile("../../docs/kubernetes.md")
	require.NoError(t, err)
	for block := range strings.SplitSeq(string(text), "```yaml\n# kustomization.yaml\n") {
		overlay, _, _ := strings.Cut(block, "```\n")
		if !ours.MatchString(overlay) {
			continue
		}
		fs := copied(t)
		require.NoError(t, fs.WriteFile("/mine/kustomization.yaml", []byte(ours.ReplaceAllString(overlay, "../kubernetes/$1"))))
		all = append(all, decode(t, build(t, fs, "/mine")))
	}
	return all
}

// copied returns the YAML files of this folder, below /kubernetes, in memory.
func copied(t *testing.T) filesys.FileSystem {
	t.Helper()
	fs := filesys.MakeFsInMemory()
	names, err := filepath.Glob("*/*.yaml")
	require.NoError(t, err)
	for _, name := range names {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, fs.WriteFile("/kubernetes/"+filepath.ToSlash(name), text))
	}
	return fs
}

func TestDocumentedOverlays(t *testing.T) {
	all := documented(t)
	require.Len(t, all, 2)

	c := container(t, pods(t, all[0]))
	assert.Equal(t, "registry.example.com/otelcol-goroutine:0.161.0", c.Image)
	assert.Equal(t, "http://loki.monitoring:3100/otlp", variable(t, c, "ONWARD_ENDPOINT").Value)
	assert.Equal(t, "prod-1", variable(t, c, "CLUSTER_NAME").Value)
	assert.Equal(t, "2300MiB", variable(t, c, "GOMEMLIMIT").Value, "other variables stay")

	set := the[*appsv1.StatefulSet](t, all[1])
	assert.EqualValues(t, 8, *set.Spec.Replicas)
	assert.Equal(t, "8", variable(t, container(t, &set.Spec.Template), "SHARDS").Value)
}
