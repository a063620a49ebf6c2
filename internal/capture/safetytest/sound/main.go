// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Sound uses modules full of assembly that keeps the frame pointer.
package main

import (
	"github.com/bytedance/sonic"
	"github.com/cespare/xxhash/v2"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/minio/sha256-simd"
	"github.com/zeebo/blake3"
	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20poly1305"

	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
)

func main() {
	data := make([]byte, 8<<10)
	encoder, _ := zstd.NewWriter(nil)
	decoder, _ := zstd.NewReader(nil)
	observe.Beside(
		func() { decoder.DecodeAll(encoder.EncodeAll(data, nil), nil) },
		func() { s2.Decode(nil, s2.Encode(nil, data)) },
		func() { xxhash.Sum64(data); sha256.Sum256(data) },
		func() { blake3.Sum256(data); blake2b.Sum256(data) },
		func() { sonic.Marshal(map[string][]byte{"data": data[:100]}) },
		func() {
			aead, _ := chacha20poly1305.New(data[:32])
			aead.Seal(nil, data[:12], data, nil)
		},
	)
}
