// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// An instrumentation has the fields of the Operator's Instrumentation, v1alpha1, that
// operator/instrumentation.yaml uses. The Operator's own module cannot be downloaded
// from everywhere.
type instrumentation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec struct {
		Exporter struct {
			Endpoint string `json:"endpoint"`
		} `json:"exporter"`
		Defaults struct {
			UseLabelsForResourceAttributes bool `json:"useLabelsForResourceAttributes"`
		} `json:"defaults"`
		Resource struct {
			Attributes map[string]string `json:"resourceAttributes"`
		} `json:"resource"`
		Env []corev1.EnvVar `json:"env"`
	} `json:"spec"`
}

func readInstrumentation(t *testing.T) (i instrumentation) {
	t.Helper()
	built := build(t, filesys.MakeFsOnDisk(), "operator").Resources()
	require.Len(t, built, 1)
	text, err := built[0].AsYAML()
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, &i))
	return i
}

// otelgoroutine accepts every variable that the Operator would set.
func TestInstrumentation(t *testing.T) {
	i := readInstrumentation(t)
	assert.Equal(t, metav1.TypeMeta{APIVersion: "opentelemetry.io/v1alpha1", Kind: "Instrumentation"}, i.TypeMeta)
	assert.True(t, strings.HasSuffix(i.Spec.Exporter.Endpoint, ":4318"), "the port of http/protobuf")
	ours := 0
	for _, v := range i.Spec.Env {
		require.Nil(t, v.ValueFrom)
		t.Setenv(v.Name, v.Value)
		if strings.HasPrefix(v.Name, "OTELGOROUTINE_") {
			ours++
		}
	}
	assert.Positive(t, ours)
	assert.Empty(t, complaints(t))
	t.Setenv("OTELGOROUTINE_INTERVAL", "15")
	t.Setenv("OTELGOROUTINE_INTERVALL", "15s")
	assert.Len(t, complaints(t), 2, "mistakes are told")
}

// complaints starts and ends a monitor, and returns what the OpenTelemetry error handler
// was told about variables.
func complaints(t *testing.T) (all []string) {
	t.Helper()
	var mu sync.Mutex
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(err.Error(), "OTELGOROUTINE_") {
			all = append(all, err.Error())
		}
	}))
	monitor, err := otelgoroutine.Start(noop.NewMeterProvider())
	require.NoError(t, err)
	require.NoError(t, monitor.Shutdown(t.Context()))
	mu.Lock()
	defer mu.Unlock()
	return all
}
