// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// kubernetesAPI is as much of the API of Kubernetes as informers of client-go
// need; each client is an informer of config maps, as a controller has for each
// namespace.
var kubernetesAPI = server{"informers", serveConfigMaps, informerClients}

func serveConfigMaps(c clock) (string, error) {
	l, err := listen()
	if err != nil {
		return "", err
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serveList(c, w, r) }))
	return "http://" + l.Addr().String(), nil
}

// serveList answers to a list and to a watch, with an event every few minutes.
func serveList(c clock, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Query().Get("watch") == "" {
		_ = json.NewEncoder(w).Encode(map[string]any{
			"kind": "ConfigMapList", "apiVersion": "v1", "items": []any{}, "metadata": map[string]string{"resourceVersion": "1"},
		})
		return
	}
	out := http.NewResponseController(w)
	say := func(kind string, o unstructured.Unstructured) error {
		err := json.NewEncoder(w).Encode(map[string]any{"type": kind, "object": o.Object})
		return errors.Join(err, out.Flush())
	}
	if r.URL.Query().Get("sendInitialEvents") == "true" {
		all := configMap(1)
		all.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
		_ = say("BOOKMARK", all)
	}
	_ = out.Flush()
	ticker := time.NewTicker(c.dur(3 * time.Minute))
	defer ticker.Stop()
	for n := 2; ; n++ {
		select {
		case <-ticker.C:
			if say("ADDED", configMap(n)) != nil {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}

func configMap(n int) (o unstructured.Unstructured) {
	o.SetAPIVersion("v1")
	o.SetKind("ConfigMap")
	o.SetNamespace("default")
	o.SetName("news-" + strconv.Itoa(n))
	o.SetResourceVersion(strconv.Itoa(n))
	return o
}

// informerClients have no typed clients, whose packages take minutes to compile.
func informerClients(address string, c clock) (func(context.Context) error, error) {
	client, err := dynamic.NewForConfig(&rest.Config{Host: address, QPS: -1})
	if err != nil {
		return nil, err
	}
	all := client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"})
	source := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return all.List(ctx, o) },
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			return all.Watch(ctx, o)
		},
	}
	return func(ctx context.Context) error {
		informer := cache.NewSharedIndexInformer(source, &unstructured.Unstructured{}, c.dur(12*time.Hour), cache.Indexers{})
		go informer.RunWithContext(ctx)
		uses := 0
		return use(ctx, c, func() error {
			if uses++; uses > 20 && !informer.HasSynced() || informer.IsStopped() {
				return errors.New("the informer does not see the API server")
			}
			return nil
		})
	}, nil
}
