// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

//lint:file-ignore SA1019 It is deprecated and on the list, since it is still in use.

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"testing"

	"golang.org/x/net/http2"
)

// serveXNet starts a server of golang.org/x/net/http2 without TLS.
func serveXNet(t *testing.T, h http.Handler) string {
	l := listen(t)
	serve(l, func(c net.Conn) { new(http2.Server).ServeConn(c, &http2.ServeConnOpts{Handler: h}) })
	return l.Addr().String()
}

// toXNet is like to, for golang.org/x/net/http2, without TLS and until the test
// is over.
func toXNet(t *testing.T, address string) http.RoundTripper {
	var d net.Dialer
	rt := &http2.Transport{
		AllowHTTP: true,
		DialTLSContext: func(ctx context.Context, network, _ string, _ *tls.Config) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
	}
	t.Cleanup(rt.CloseIdleConnections)
	return rt
}
