// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
)

// serveHTTP starts a server of HTTP/1 or HTTP/2 and returns its address.
func serveHTTP(t *testing.T, h http.Handler, two bool) string {
	server := httptest.NewUnstartedServer(h)
	server.EnableHTTP2 = two
	if two {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.Listener.Addr().String()
}

// listen listens on the loopback interface until the test is over.
func listen(t *testing.T) net.Listener {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// serve handles each connection on a goroutine of its own.
func serve(l net.Listener, handle func(net.Conn)) {
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go handle(c)
		}
	}()
}

// dial connects until the test is over, without a goroutine.
func dial(t *testing.T, address string) net.Conn {
	c, err := net.Dial("tcp", address)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

var anyServer = &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}

// to is a transport that takes every host for one address: as many servers as
// one likes.
func to(address string, two bool) *http.Transport {
	var d net.Dialer
	return &http.Transport{
		ForceAttemptHTTP2: two,
		TLSClientConfig:   anyServer.Clone(),
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return d.DialContext(ctx, network, address)
		},
	}
}

// keepAlive makes a request on a connection without a goroutine of its own,
// and leaves it open.
func keepAlive(t *testing.T, address string) {
	c := dial(t, address)
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: pod\r\n\r\n")
	require.NoError(t, err)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
}

// get makes a request and reads the answer to its end.
func get(t *testing.T, rt http.RoundTripper, url string) {
	resp, err := (&http.Client{Transport: rt}).Get(url)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
}

// answers is a handler that answers at once.
var answers = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok") })

// reads is a handler that answers, and then reads what the client sends.
var reads = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).Flush()
	io.Copy(io.Discard, r.Body)
})

// holds is a handler that begins to answer and never ends.
var holds = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	http.NewResponseController(w).Flush()
	<-r.Context().Done()
})

// pod is the URL of one of many servers.
func pod(scheme string, i int) string { return fmt.Sprintf("%s://pod-%d/", scheme, i) }
