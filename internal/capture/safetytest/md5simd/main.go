// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Md5simd hashes with a module whose assembly spoils the frame pointer.
package main

import (
	md5simd "github.com/minio/md5-simd"

	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
)

func main() {
	data := make([]byte, 64<<10)
	observe.Beside(func() {
		server := md5simd.NewServer()
		defer server.Close()
		hash := server.NewHash()
		defer hash.Close()
		hash.Write(data)
		hash.Sum(nil)
	})
}
