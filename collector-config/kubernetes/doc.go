// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package kubernetes has manifests for Kubernetes, as overlays of kustomize, and tests
// of them: what kustomize builds is decoded strictly with the types of the Kubernetes
// API, has no rights that it does not need, and refers to nothing that is not there.
package kubernetes
