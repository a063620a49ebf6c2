// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// adding is a transport that adds a header to every request, as an auth extension of
// the Collector does.
type adding struct{ http.RoundTripper }

func (a adding) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer secret")
	return a.RoundTripper.RoundTrip(r)
}

var receiverNames = Settings{
	Timeout: "timeout", Login: "auth", Trust: "tls", Certificate: "cert_file", MaxSize: "max_snapshot_size",
	Endpoint: "page:", Dump: "page: dump", Proxy: "proxy_url",
}

func through(t *testing.T, r *Reader, client *http.Client, address string) *Remote {
	t.Helper()
	if r.Max == 0 {
		r.Max = 1 << 20
	}
	if r.HTTP.Timeout == 0 {
		r.HTTP.Timeout = 10 * time.Second
	}
	remote, err := r.RemoteThrough(client, address)
	require.NoError(t, err)
	return remote
}

func TestThroughAClient(t *testing.T) {
	var heard []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard = append(heard, r.Header.Get("Authorization"))
		http.NotFound(w, r)
	}))
	defer server.Close()
	client := &http.Client{Transport: adding{http.DefaultTransport}, Timeout: time.Nanosecond}
	remote := through(t, &Reader{}, client, server.URL)
	_, err := remote.Take(t.Context())
	require.ErrorContains(t, err, "404 Not Found", "the timeout of the reader counts")
	assert.Equal(t, []string{"Bearer secret", "Bearer secret"}, heard, "the trace and the profile")
	remote.Close()
	assert.Equal(t, time.Nanosecond, client.Timeout, "the client is the caller's")
	assert.Nil(t, client.CheckRedirect)
}

// A client that adds headers would add them for the other host too.
func TestThroughAClientNoOtherHostIsAsked(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the other host was asked") }))
	defer other.Close()
	server := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	defer server.Close()
	follow := func(*http.Request, []*http.Request) error { return nil }
	client := &http.Client{Transport: adding{http.DefaultTransport}, CheckRedirect: follow}
	_, err := through(t, &Reader{}, client, server.URL).Take(t.Context())
	require.ErrorContains(t, err, "it redirects to "+other.URL+"; give that address if you trust it")
}

func TestCheckAddress(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1:6060":                          "http://10.0.0.1:6060/debug/pprof/",
		"https://host/debug/pprof":               "https://host/debug/pprof/",
		"http://user:secret@host:1/x?token=abcd": "http://host:1/x?token=xxxxx",
	} {
		name, err := CheckAddress(address)
		require.NoError(t, err)
		assert.Equal(t, want, name)
	}
	for address, want := range map[string]string{
		"pod/checkout:6060":    "pod/checkout:6060: a Unix socket or a port that kubectl forwards; it must be host:port or a URL with http:// or https://",
		"unix:/run/debug.sock": "unix:/run/debug.sock: a Unix socket or a port",
		"http://":              "http://: not a URL: no host",
	} {
		_, err := CheckAddress(address)
		require.ErrorContains(t, err, want)
	}
}

// Errors name the settings of the program that reads.
func TestNamesOfSettings(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/large/goroutine":
			w.Write(bytes.Repeat([]byte("goroutine 1 [running]:\n"), 100))
		default:
			w.Header().Set("WWW-Authenticate", "Basic realm=x")
			w.WriteHeader(http.StatusUnauthorized)
		}
	}))
	defer refusing.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	for _, c := range []struct {
		address string
		names   *Settings
		want    string
	}{
		{refusing.URL, nil, "it asks for Basic authentication; see --user and --header"},
		{refusing.URL, &receiverNames, "it asks for Basic authentication; see auth"},
		{secure.URL, nil, "the server certificate is not trusted (--ca, --server-name, --insecure)"},
		{secure.URL, &receiverNames, "the server certificate is not trusted (tls)"},
		{refusing.URL + "/large/goroutine", nil, "(the limit is --max-size)"},
		{refusing.URL + "/large/goroutine", &receiverNames, "(the limit is max_snapshot_size)"},
	} {
		remote := through(t, &Reader{Settings: c.names, Max: 1000}, &http.Client{}, c.address)
		remote.Forget()
		_, err := remote.Take(t.Context())
		require.ErrorContains(t, err, c.want)
	}

	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	remote := through(t, &Reader{Settings: &receiverNames, HTTP: HTTP{Timeout: time.Millisecond}}, &http.Client{}, silent.URL)
	_, err := remote.Take(t.Context())
	require.ErrorContains(t, err, "within 1ms (timeout)")

	remote = through(t, &Reader{Settings: &receiverNames, Endpoint: Profile}, &http.Client{}, silent.URL)
	_, detail := remote.NoTrace()
	assert.Equal(t, "page: profile is set", detail)
}

// What only the command shows of dumps is not kept.
func TestThroughAClientNoDetailsAreKept(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("goroutine 1 [running]:\nmain.main()\n\t/x/main.go:1 +0x1\n"))
	}))
	defer server.Close()
	remote := through(t, &Reader{Endpoint: Dump}, &http.Client{}, server.URL)
	for range 3 {
		s, err := remote.Take(context.Background())
		require.NoError(t, err)
		assert.Equal(t, 1, s.Total)
		remote.Forget()
	}
	assert.Empty(t, remote.parsers.details)
}
