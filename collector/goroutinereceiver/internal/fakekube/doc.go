// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package fakekube is a Kubernetes API server for tests: list and watch as service
// discovery uses them, over HTTP, in JSON and in protobuf.
//
// It keeps to the protocol of the real one where a client can tell: resource
// versions, watches that begin with what there is (sendInitialEvents), bookmarks,
// 410 Gone for a version that is too old, selectors of labels and fields, status
// objects for errors, 401 without the token, 403 by the rules of RBAC, and reviews
// of one's own permissions. Lists are not divided into pages. Nothing is written
// through the API: [Server.Apply] and [Server.Delete] do that, or the control
// server of the program in fakekube/fakekube.
//
// All methods may be called concurrently.
package fakekube
