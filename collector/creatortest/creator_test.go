// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package creatortest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"
	"path/filepath"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/observer"
	"github.com/open-telemetry/opentelemetry-collector-contrib/receiver/receivercreator"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelgoroutine/go/collector/goroutinereceiver"
)

// A pods observer is an extension that tells of what the test gives it.
type pods struct{ notify observer.Notify }

func (*pods) Start(context.Context, component.Host) error { return nil }
func (*pods) Shutdown(context.Context) error              { return nil }
func (p *pods) ListAndWatch(n observer.Notify)            { p.notify = n }
func (*pods) Unsubscribe(observer.Notify)                 {}

// A host has the extension and the factory, as a Collector that is built with both.
type host struct{ pods *pods }

func (h *host) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{component.MustNewID("pods"): h.pods}
}

func (*host) GetFactory(kind component.Kind, of component.Type) component.Factory {
	if f := goroutinereceiver.NewFactory(); kind == component.KindReceiver && of == f.Type() {
		return f
	}
	return nil
}

func profiles() *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return httptest.NewServer(mux)
}

func port(name, target string, annotations map[string]string) observer.Endpoint {
	return observer.Endpoint{
		ID: observer.EndpointID(name), Target: target,
		Details: &observer.Port{
			Name: "debug", Port: 6060, Transport: observer.ProtocolTCP,
			Pod: observer.Pod{
				Name: name, UID: "uid-" + name, Namespace: "shop",
				Labels: map[string]string{"app": "checkout"}, Annotations: annotations,
			},
		},
	}
}

const patient = 2 * time.Minute

// The creator starts a receiver for a pod's port, whose address it sets as the endpoint,
// with the attributes of the template and its own; and ends it with the pod.
func TestReceiverCreator(t *testing.T) {
	server := profiles()
	defer server.Close()
	observed := map[string]string{"otelgoroutine/scrape": "true"}
	h := &host{new(pods)}
	f := receivercreator.NewFactory()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	sub, err := all.Sub("receiver_creator")
	require.NoError(t, err)
	c := f.CreateDefaultConfig()
	require.NoError(t, sub.Unmarshal(c))
	require.NoError(t, confmap.Validate(c))
	metrics, logs := new(consumertest.MetricsSink), new(consumertest.LogsSink)
	set := receivertest.NewNopSettings(f.Type())
	forMetrics, err := f.CreateMetrics(t.Context(), set, c, metrics)
	require.NoError(t, err)
	forLogs, err := f.CreateLogs(t.Context(), set, c, logs)
	require.NoError(t, err)
	for _, r := range []component.Component{forMetrics, forLogs} {
		require.NoError(t, r.Start(t.Context(), h))
		defer func() { assert.NoError(t, r.Shutdown(context.WithoutCancel(t.Context()))) }()
	}

	address := server.Listener.Addr().String()
	endpoint := port("checkout-1", address, observed)
	h.pods.notify.OnAdd([]observer.Endpoint{endpoint, port("checkout-2", address, nil)})
	require.Eventually(t, func() bool { return len(metrics.AllMetrics()) > 3 }, patient, 20*time.Millisecond)
	attributes := metrics.AllMetrics()[0].ResourceMetrics().At(0).Resource().Attributes().AsRaw()
	for key, want := range map[string]string{
		"service.name": "checkout", "service.instance.id": "checkout-1", "k8s.pod.name": "checkout-1",
		"k8s.pod.uid": "uid-checkout-1", "k8s.namespace.name": "shop", "url.scheme": "http",
	} {
		assert.Equal(t, want, attributes[key], key)
	}

	h.pods.notify.OnRemove([]observer.Endpoint{endpoint})
	n := len(metrics.AllMetrics())
	for _, m := range metrics.AllMetrics() {
		assert.Equal(t, "checkout-1", instance(m), "the pod without the annotation is not observed")
	}
	h.pods.notify.OnAdd([]observer.Endpoint{port("checkout-3", address, observed)})
	require.Eventually(t, func() bool { return instance(metrics.AllMetrics()[len(metrics.AllMetrics())-1]) == "checkout-3" }, patient, 20*time.Millisecond)
	for _, m := range metrics.AllMetrics()[n:] {
		assert.Equal(t, "checkout-3", instance(m), "nothing more comes of the pod that is gone")
	}
}

func instance(m pmetric.Metrics) string {
	value, _ := m.ResourceMetrics().At(0).Resource().Attributes().Get("service.instance.id")
	return value.Str()
}
