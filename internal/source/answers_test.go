// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func compressed(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	_, err := z.Write(data)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

func encodedAs(coding string, data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", coding)
		w.Write(data)
	}
}

// TestContentCodings uses servers that compress although that was not asked for.
func TestContentCodings(t *testing.T) {
	profile := page("profile") // compressed itself
	for name, c := range map[string]struct {
		page     http.HandlerFunc
		endpoint Endpoint
		want     string
	}{
		"a profile in gzip":  {encodedAs("gzip", compressed(t, profile)), Profile, ""},
		"a trace in gzip":    {encodedAs("GZIP", compressed(t, page("trace"))), Trace, ""},
		"a dump in gzip":     {encodedAs("x-gzip", compressed(t, []byte(oneGoroutine))), Dump, ""},
		"none":               {encodedAs("identity", profile), Profile, ""},
		"no gzip after all":  {encodedAs("gzip", []byte(oneGoroutine)), Dump, "decompressing what the response says is gzip: gzip: invalid header"},
		"Brotli":             {encodedAs("br", []byte("x")), Profile, `200 OK: the content is encoded as "br", which was not asked for; it must not be encoded, or with gzip`},
		"gzip that expands":  {encodedAs("gzip", compressed(t, bytes.Repeat([]byte("x\n"), 1<<20))), Dump, "over 1 MiB of data"},
		"gzip that is cut":   {encodedAs("gzip", compressed(t, bytes.Repeat([]byte(oneGoroutine), 100))[:60]), Dump, "unexpected EOF"},
		"a gzip of a gzip":   {body(compressed(t, profile)), Profile, "it is compressed twice"},
		"a terminal's codes": {status(http.StatusTeapot, "\x1b]0;x\x07"), Profile, "418 I'm a teapot (application/octet-stream): ?]0;x?"},
	} {
		remote, _ := remoteOf(t, c.page, func(r *Reader) { r.Endpoint, r.Max = c.endpoint, 1<<20 })
		s, err := remote.Take(t.Context())
		if c.want != "" {
			assert.ErrorContains(t, err, c.want, name)
			continue
		}
		require.NoError(t, err, name)
		assert.NotZero(t, s.Total, name)
	}
}

// TestWhatCame checks that an error says what was asked, what came and what to do.
func TestWhatCame(t *testing.T) {
	login := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			http.Redirect(w, r, "/login?back="+url.QueryEscape(r.URL.Path), http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		io.WriteString(w, "<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>")
	}
	asking := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("WWW-Authenticate", `Basic realm="debug"`)
		w.WriteHeader(http.StatusUnauthorized)
	}
	for name, c := range map[string]struct {
		page http.HandlerFunc
		want string
	}{
		"a login page":  {login, `goroutine: 200 OK (text/html), redirected to /login, titled "Sign in": this is HTML, not goroutines: an error page, a login page, or the index page`},
		"something":     {body([]byte("\x89PNG\r\n\x1a\n\x00\x00")), "goroutine: 200 OK (image/png): unknown format"},
		"nothing":       {body(nil), "goroutine: 200 OK: it is empty"},
		"Basic":         {asking, "goroutine: 401 Unauthorized; it asks for Basic authentication; see --user and --header"},
		"a bad gateway": {status(http.StatusBadGateway, "upstream\n"), "502 Bad Gateway (text/plain): upstream; a proxy answered in place of the process, which it cannot reach"},
		"a proxy":       {status(http.StatusProxyAuthRequired, ""), "407 Proxy Authentication Required; the proxy asks for a login; give it in HTTP_PROXY"},
		"TLS only":      {status(http.StatusBadRequest, "The plain HTTP request was sent to HTTPS port"), "400 Bad Request (text/plain): The plain HTTP request was sent to HTTPS port; use https://"},
	} {
		remote, _ := remoteOf(t, c.page, func(r *Reader) { r.Endpoint = Profile })
		_, err := remote.Take(t.Context())
		require.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, "GET "+remote.Name, name)
	}
}

// TestTLSOnAPlainPort uses a server that answers plain HTTP with a TLS alert, as
// servers do that are not written in Go.
func TestTLSOnAPlainPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Read(make([]byte, 1<<10))
			c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46"))
			c.Close()
		}
	}()
	var notes []string
	remote, err := newReader(&notes).Remote(l.Addr().String())
	require.NoError(t, err)
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "the server speaks TLS; use https://")
}

// TestLivePage checks that the address of the live page stands for the pages of
// net/http/pprof beside it, and if there are none for its own snapshot.
func TestLivePage(t *testing.T) {
	pages := map[string]http.HandlerFunc{"trace": body(page("trace"))}
	server := &pprofServer{pages: pages}
	var notes []string
	address := serve(t, server.ServeHTTP) + "/debug/goroutines/"
	remote, err := newReader(&notes).Remote(address)
	require.NoError(t, err)
	s, err := remote.Take(t.Context())
	require.NoError(t, err)
	assert.Equal(t, goroutine.SourceTrace, s.Source)

	pages["trace"], pages["snapshot.pb.gz"] = nil, body(page("profile"))
	server.requests()
	s, err = remote.Take(t.Context())
	require.NoError(t, err)
	assert.NotZero(t, s.Total)
	assert.Equal(t, []string{"trace", "goroutine", "snapshot.pb.gz"}, server.requests())

	remote, err = newReader(&notes).Remote(strings.TrimSuffix(address, "goroutines/"))
	require.NoError(t, err)
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "404 Not Found", "another address has no such page")
}

// TestUnixSockets uses a server at a Unix socket, with and without TLS.
func TestUnixSockets(t *testing.T) {
	dir, err := os.MkdirTemp("", "s") // the path of a socket has at most some 100 bytes
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "app.sock")
	l, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := &pprofServer{pages: map[string]http.HandlerFunc{"trace": body(page("trace")), "goroutine": body(page("profile"))}}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: server}}
	s.Start()
	defer s.Close()
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var notes []string
	for _, name := range []string{"unix:" + socket, "http+unix://" + url.PathEscape(socket) + "/debug/pprof/"} {
		series, err := newReader(&notes).Read(t.Context(), []string{name})
		require.NoError(t, err, name)
		assert.Equal(t, goroutine.SourceTrace, series.Snapshots[0].Source)
	}
	remote, err := newReader(&notes).Remote("unix:" + socket)
	require.NoError(t, err)
	assert.Equal(t, "unix:"+socket+":/debug/pprof/", remote.Name)
	assert.Equal(t, "app", remote.Host)

	l, err = net.Listen("unix", filepath.Join(dir, "old.sock"))
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	for name, want := range map[string]string{
		"unix:" + filepath.Join(dir, "absent.sock"): "there is no such socket",
		"unix:" + filepath.Join(dir, "old.sock"):    "connection refused: no process listens at that socket any more",
	} {
		_, err = newReader(&notes).Read(t.Context(), []string{name})
		assert.ErrorContains(t, err, want)
	}
}

// TestProxies uses a proxy for HTTP that asks for a login.
func TestProxies(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:secret")) {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		assert.Equal(t, "app.test:6060", r.Host)
		io.WriteString(w, oneCounted)
	}))
	defer proxy.Close()
	take := func(address, proxy string) error {
		var notes []string
		r := newReader(&notes)
		r.Endpoint = Profile
		remote, err := r.Remote(address)
		require.NoError(t, err)
		u, err := url.Parse(proxy)
		require.NoError(t, err)
		remote.client.Transport.(*http.Transport).Proxy = http.ProxyURL(u) // the environment is read once in a process
		_, err = remote.Take(t.Context())
		return err
	}
	require.NoError(t, take("http://app.test:6060", strings.Replace(proxy.URL, "http://", "http://me:secret@", 1)))
	require.ErrorContains(t, take("http://app.test:6060", proxy.URL), "the proxy asks for a login")
	require.ErrorContains(t, take("https://app.test:6060", proxy.URL), "the proxy asks for a login")
	require.ErrorContains(t, take("http://app.test:6060", "http://127.0.0.1:1"), "the proxy in HTTP_PROXY or HTTPS_PROXY cannot be reached")
}

// TestNoConnection uses an address that nothing answers at.
func TestNoConnection(t *testing.T) {
	var notes []string
	r := newReader(&notes)
	r.HTTP.Timeout = 50 * time.Millisecond
	remote, err := r.Remote("http://app.test:6060")
	require.NoError(t, err)
	remote.client.Transport.(*http.Transport).DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "no connection within 50ms (--timeout); is the host right, and is there a firewall?")
}

// TestPagesThatTakeTheirTime checks that a page that is asked to take a while gets
// that time beyond the limit.
func TestPagesThatTakeTheirTime(t *testing.T) {
	for query, want := range map[string]time.Duration{
		"": 0, "seconds=5": 5 * time.Second, "seconds=0.005": 5 * time.Millisecond, "seconds=x": 0, "seconds=-1": 0,
		"seconds=NaN": 0, "seconds=1e300": time.Hour,
	} {
		assert.Equal(t, want, asksFor(&url.URL{RawQuery: query}), query)
	}
	remote, _ := remoteOf(t, body(page("trace")), func(r *Reader) { r.HTTP.Timeout = time.Nanosecond })
	_, err := remote.Take(t.Context())
	require.ErrorContains(t, err, "within 1ns (--timeout)")
	remote, err = remote.reader.Remote(remote.Name + "trace?seconds=100")
	require.NoError(t, err)
	_, err = remote.Take(t.Context())
	require.NoError(t, err)
}
