// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"bytes"
	"crypto/tls"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A wire is a connection of HTTP/2 without a goroutine of its own: what the
// other end of a server's connection looks like from within the server.
type wire struct {
	t *testing.T
	*http2.Framer
}

// newWire connects, with TLS where the server wants it.
func newWire(t *testing.T, address string, secure bool) *wire {
	conn := dial(t, address)
	if secure {
		conn = tls.Client(conn, anyServer.Clone())
	}
	_, err := io.WriteString(conn, http2.ClientPreface)
	require.NoError(t, err)
	w := &wire{t, http2.NewFramer(conn, conn)}
	require.NoError(t, w.WriteSettings())
	return w
}

// open opens a stream, sends a message or a part of one, and waits until the
// server has answered with headers. end says that nothing more will be sent.
func (w *wire) open(path, contentType string, message []byte, end bool) {
	block := headers(":method", "POST", ":scheme", "http", ":authority", "pod", ":path", path, "content-type", contentType, "te", "trailers")
	require.NoError(w.t, w.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block, EndHeaders: true}))
	if message != nil {
		require.NoError(w.t, w.WriteData(1, end, message))
	}
	for {
		f, err := w.ReadFrame()
		require.NoError(w.t, err)
		if _, ok := f.(*http2.HeadersFrame); ok {
			return
		}
	}
}

// settle waits until the server has greeted.
func (w *wire) settle() {
	f, err := w.ReadFrame()
	require.NoError(w.t, err)
	require.IsType(w.t, &http2.SettingsFrame{}, f)
}

// headers encodes names and values as HTTP/2 sends them.
func headers(pairs ...string) []byte {
	var buf bytes.Buffer
	e := hpack.NewEncoder(&buf)
	for i := 0; i < len(pairs); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]}) // to memory
	}
	return buf.Bytes()
}
