// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubernetestest tests collector-config/kubernetes on this module: discovery
// runs with the configuration of the manifests, against an API server that allows what
// their roles allow and nothing else.
package kubernetestest
