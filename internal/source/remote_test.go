// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// A pprofServer serves the pages that a test sets. It records requests.
type pprofServer struct {
	mu    sync.Mutex
	pages map[string]http.HandlerFunc // by the last element of the path
	asked []string
}

func (p *pprofServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
	p.mu.Lock()
	p.asked = append(p.asked, name)
	h := p.pages[name]
	p.mu.Unlock()
	if h == nil {
		http.NotFound(w, r)
		return
	}
	h(w, r)
}

// requests returns the requests since the last call.
func (p *pprofServer) requests() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

func body(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(data) }
}

func status(code int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code); io.WriteString(w, text) }
}

// remoteOf returns the remote at a handler, and its notes.
func remoteOf(t *testing.T, h http.HandlerFunc, change func(*Reader)) (*Remote, *[]string) {
	t.Helper()
	notes := new([]string)
	r := newReader(notes)
	if change != nil {
		change(r)
	}
	remote, err := r.Remote(serve(t, h))
	require.NoError(t, err)
	return remote, notes
}

func TestTake(t *testing.T) {
	busy := status(http.StatusInternalServerError, "Could not enable tracing: tracing is already enabled\n")
	for name, c := range map[string]struct {
		trace  http.HandlerFunc
		change func(*Reader)
		asked  []string // requests of the first snapshot
		again  []string // requests of the second
		source goroutine.Source
		note   string
	}{
		"a trace":                  {trace: body(page("trace")), asked: []string{"trace"}, again: []string{"trace"}, source: goroutine.SourceTrace},
		"no trace, so the profile": {trace: busy, asked: []string{"trace", "goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceProfile, note: "500 Internal Server Error (text/plain): Could not enable tracing: tracing is already enabled"},
		"no such page":             {asked: []string{"trace", "goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceProfile, note: `404 Not Found (text/plain): 404 page not found; net/http/pprof is not served there; import _ "net/http/pprof"`},
		"a page instead of it":     {trace: body([]byte("<html>sign in")), asked: []string{"trace", "goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceProfile, note: "200 OK (text/html): this is HTML"},
		"a dump instead of it":     {trace: body([]byte(oneGoroutine)), asked: []string{"trace", "goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceProfile, note: parse.ErrNotTrace.Error()},
		"labels are wanted":        {trace: body(page("trace")), change: func(r *Reader) { r.Labels = allLabels }, asked: []string{"goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceLabelled},
		"some labels are wanted":   {trace: body(page("trace")), change: func(r *Reader) { r.Labels.Keys = []string{"user"} }, asked: []string{"goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceLabelled},
		"the profile only":         {trace: body(page("trace")), change: func(r *Reader) { r.Endpoint = Profile }, asked: []string{"goroutine"}, again: []string{"goroutine"}, source: goroutine.SourceProfile},
	} {
		t.Run(name, func(t *testing.T) {
			server := &pprofServer{pages: map[string]http.HandlerFunc{"trace": c.trace, "goroutine": body(page("profile"))}}
			remote, notes := remoteOf(t, server.ServeHTTP, c.change)
			before := time.Now()
			s, err := remote.Take(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.source, s.Source)
			assert.Equal(t, c.asked, server.requests())
			assert.False(t, s.Time.Before(before) || s.Time.After(time.Now()), "when the response was read, by our clock")
			assert.LessOrEqual(t, s.Duration, time.Since(before))

			_, err = remote.Take(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.again, server.requests())
			if c.note == "" {
				assert.Empty(t, *notes)
				return
			}
			require.Len(t, *notes, 1, "it is noted once")
			assert.Contains(t, (*notes)[0], remote.Name+": no trace, so there are no goroutine IDs and no ages: ")
			assert.Contains(t, (*notes)[0], c.note)

			remote.Forget() // another process may have traces
			_, err = remote.Take(t.Context())
			require.NoError(t, err)
			assert.Equal(t, c.asked, server.requests())
		})
	}
}

// TestNoSecondRequest checks that no second page is requested if it would fail
// for the same reason.
func TestNoSecondRequest(t *testing.T) {
	for name, c := range map[string]struct {
		page http.HandlerFunc
		want string
	}{
		"unauthorized": {status(http.StatusUnauthorized, "no\n"), "401 Unauthorized (text/plain): no; see --user and --header"},
		"forbidden":    {status(http.StatusForbidden, "<html>no</html>"), "403 Forbidden (text/html); see --user and --header"},
		"cut off":      {func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Length", "1000") }, "the response was cut off: unexpected EOF"},
		"too large":    {body([]byte(strings.Repeat(oneGoroutine, 1000))), "over 64 KiB of data"},
		"closed":       {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "the connection was closed without a response"},
	} {
		server := &pprofServer{pages: map[string]http.HandlerFunc{"trace": c.page, "goroutine": body(page("profile"))}}
		remote, notes := remoteOf(t, server.ServeHTTP, func(r *Reader) { r.Max = 64 << 10 })
		_, err := remote.Take(t.Context())
		require.ErrorContains(t, err, c.want, name)
		assert.ErrorContains(t, err, remote.Name[:len(remote.Name)-1], "%s: the error names the process", name)
		assert.Equal(t, []string{"trace"}, server.requests(), name)
		assert.Empty(t, *notes, name)
	}
}

// TestPartOfASnapshot checks that the content received before a response breaks
// off is used.
func TestPartOfASnapshot(t *testing.T) {
	whole := strings.Repeat(oneGoroutine+"\n", 3000)
	remote, _ := remoteOf(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000000000")
		io.WriteString(w, whole)
	}, func(r *Reader) { r.Endpoint = Dump })
	s, err := remote.Take(t.Context())
	require.ErrorContains(t, err, "the response was cut off: unexpected EOF")
	require.NotNil(t, s)
	assert.Equal(t, 3000, s.Total)
	assert.False(t, s.Time.IsZero())
}

// TestRefusals checks that the first line of an error response is shown if it
// is text, or the title if it is HTML.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want string
	}{
		"one line":         {"overloaded\n", "503 Service Unavailable (text/plain): overloaded"},
		"several lines":    {"\n overloaded\ntry later\n", "503 Service Unavailable (text/plain): overloaded"},
		"nothing":          {"", "503 Service Unavailable"},
		"HTML":             {"<!doctype html><html>overloaded", "503 Service Unavailable (text/html)"},
		"a title":          {"<!doctype html><html><head><title>\n  Sign&nbsp;in &amp; go </title>", "503 Service Unavailable (text/html): Sign?in & go"},
		"a long line":      {strings.Repeat("x", 300), "503 Service Unavailable (text/plain): " + strings.Repeat("x", 200) + "…"},
		"for the terminal": {"a\x1b[31mb", "503 Service Unavailable (text/plain): a?[31mb"},
		"not UTF-8":        {"caf\xe9", "503 Service Unavailable (text/plain): caf?"},
		"without an end":   {strings.Repeat("y\n", 1<<20), "503 Service Unavailable (text/plain): y"},
	} {
		remote, _ := remoteOf(t, status(http.StatusServiceUnavailable, c.body), func(r *Reader) { r.Endpoint = Profile })
		_, err := remote.Take(t.Context())
		require.EqualError(t, err, "GET "+remote.Name+"goroutine: "+c.want, name)
	}
}

func TestWhatIsSent(t *testing.T) {
	var got *http.Request
	remote, _ := remoteOf(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		io.WriteString(w, oneCounted)
	}, func(r *Reader) {
		r.Endpoint = Profile
		r.HTTP.User = "me:pass:word"
		r.HTTP.Header = http.Header{"X-Token": {"a", "b"}, "Host": {"service.internal"}}
	})
	_, err := remote.Take(t.Context())
	require.NoError(t, err)
	name, password, ok := got.BasicAuth()
	assert.True(t, ok)
	assert.Equal(t, "me", name)
	assert.Equal(t, "pass:word", password)
	assert.Equal(t, []string{"a", "b"}, got.Header.Values("X-Token"))
	assert.Equal(t, "service.internal", got.Host)
	assert.Empty(t, got.Header.Get("Accept-Encoding"), "profiles are compressed already")
}

// TestPasswordInAnAddress checks that a password is used but never shown.
func TestPasswordInAnAddress(t *testing.T) {
	var password string
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, password, _ = r.BasicAuth()
		http.Error(w, "no", http.StatusUnauthorized)
	})
	var notes []string
	remote, err := newReader(&notes).Remote(strings.Replace(address, "http://", "http://me:secret@", 1))
	require.NoError(t, err)
	assert.NotContains(t, remote.Name, "secret")
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "401 Unauthorized")
	assert.NotContains(t, err.Error(), "secret")
	assert.Equal(t, "secret", password)
}

func TestRedirects(t *testing.T) {
	var elsewhere http.Header
	other := serve(t, func(w http.ResponseWriter, r *http.Request) {
		elsewhere = r.Header
		io.WriteString(w, oneCounted)
	})
	var tokens []string
	remote, _ := remoteOf(t, func(w http.ResponseWriter, r *http.Request) {
		tokens = append(tokens, r.Header.Get("X-Token"))
		if strings.HasPrefix(r.URL.Path, "/moved") {
			io.WriteString(w, oneCounted)
			return
		}
		http.Redirect(w, r, "/moved"+r.URL.Path, http.StatusMovedPermanently)
	}, func(r *Reader) { r.Endpoint, r.HTTP.Header = Profile, http.Header{"X-Token": {"abc"}} })
	s, err := remote.Take(t.Context())
	require.NoError(t, err)
	assert.Equal(t, 1, s.Total)
	assert.Equal(t, []string{"abc", "abc"}, tokens, "the same host gets the headers again")

	remote, _ = remoteOf(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other, http.StatusFound) },
		func(r *Reader) { r.HTTP.Header = http.Header{"X-Token": {"abc"}} })
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "it redirects to "+other+"; give that address if you trust it")
	assert.Nil(t, elsewhere, "another host gets nothing")

	remote, _ = remoteOf(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, nil)
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "it redirects more than 5 times")
}

// TestSlowServers uses servers that never complete a response.
func TestSlowServers(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"header only": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		},
		"dripping": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				io.WriteString(w, "goroutine 1 [running]:\n")
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
		},
	} {
		remote, _ := remoteOf(t, h, func(r *Reader) { r.Endpoint, r.HTTP.Timeout = Dump, 50*time.Millisecond })
		_, err := remote.Take(t.Context())
		require.ErrorContains(t, err, "no complete response within 50ms (--timeout)", name)
	}
}

// TestBrokenConnections uses connections that end too early, in several ways.
func TestBrokenConnections(t *testing.T) {
	for name, c := range map[string]struct {
		bytes string
		want  string
	}{
		"closed at once":       {"", "the connection was closed without a response; is the port right?"},
		"another protocol":     {"SSH-2.0-OpenSSH_9\r\n", "the server does not speak HTTP; is the port right?"},
		"half a header":        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "goroutine: the response was cut off: net/http: "},
		"half a body":          {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ngoroutine profile: total 5\n", "the response was cut off: unexpected EOF"},
		"a chunk that is none": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid byte in chunk length"},
	} {
		remote, _ := remoteOf(t, func(w http.ResponseWriter, _ *http.Request) {
			connection, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				io.WriteString(connection, c.bytes)
				connection.Close()
			}
		}, func(r *Reader) { r.Endpoint = Profile })
		_, err := remote.Take(t.Context())
		assert.ErrorContains(t, err, c.want, name)
	}
}

// TestTalksFirst uses a server that greets its clients, as SSH and SMTP servers
// do. Whether net/http sees the greeting before it sends the request is a
// matter of chance.
func TestTalksFirst(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(c, "220 mail.example.com ESMTP\r\n")
			io.Copy(io.Discard, c) // until the client disconnects
			c.Close()
		}
	}()
	var notes []string
	for range 20 {
		remote, err := newReader(&notes).Remote(l.Addr().String())
		require.NoError(t, err)
		_, err = remote.Take(t.Context())
		require.ErrorContains(t, err, "the server does not speak HTTP; is the port right?")
	}
	assert.Empty(t, notes, "the profile is not asked for")
}

func explained(err error) error {
	return (&explanation{timeout: 3 * time.Second, connected: true}).of(err)
}

func TestExplain(t *testing.T) {
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	reset := &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}
	asked := func(err error) error { return &url.Error{Op: "Get", URL: "http://secret", Err: err} }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"refused":          {asked(refused), "connection refused: nothing listens on that port; is it the right one?"},
		"reset":            {asked(reset), "the connection was closed without a response; is the port right?"},
		"reset in a body":  {reset, "read tcp: read: connection reset by peer"},
		"no such host":     {asked(&net.OpError{Op: "dial", Err: &net.DNSError{Name: "nowhere", Err: "no such host", IsNotFound: true}}), `no such host "nowhere"`},
		"deadline":         {asked(context.DeadlineExceeded), "no complete response within 3s (--timeout)"},
		"deadline of TCP":  {&net.OpError{Op: "read", Net: "tcp", Err: os.ErrDeadlineExceeded}, "no complete response within 3s (--timeout)"},
		"interrupted":      {asked(context.Canceled), "context canceled"},
		"no TLS":           {asked(tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}), "the server does not speak TLS; is the port right? If it speaks plain HTTP, use http://"},
		"TLS":              {asked(errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "\x15\x03\x01\x00\x02\x02"`)), "the server speaks TLS; use https://"},
		"no answer of DNS": {asked(&net.DNSError{Name: "slow", Err: "server misbehaving"}), `the name "slow" cannot be resolved: server misbehaving`},
		"no proxy":         {asked(&net.OpError{Op: "proxyconnect", Net: "tcp", Err: refused}), "the proxy in HTTP_PROXY or HTTPS_PROXY cannot be reached: dial tcp: connect: connection refused"},
		"a proxy's login":  {asked(errors.New("Proxy Authentication Required")), "the proxy asks for a login; give it in HTTP_PROXY or HTTPS_PROXY, as http://name:password@host:port"},
		"another protocol": {asked(errors.New(`net/http: HTTP/1.x transport connection broken: malformed HTTP response "SSH"`)), "the server does not speak HTTP; is the port right?"},
		"closed as idle":   {asked(errors.New("http: server closed idle connection")), "the connection was closed without a response; is the port right?"},
		"no response":      {asked(io.EOF), "the connection was closed without a response; is the port right?"},
		"anything else":    {asked(errors.New("unsupported protocol scheme")), "unsupported protocol scheme"},
		"not of a request": {errors.New("other"), "other"},
	} {
		assert.EqualError(t, explained(c.err), c.want, name)
	}
	assert.ErrorIs(t, explained(asked(refused)), syscall.ECONNREFUSED, "watch recognizes a restart by it")
	assert.ErrorIs(t, explained(asked(context.Canceled)), context.Canceled)
}

// write writes PEM blocks to a file and returns its name.
func write(t *testing.T, blocks ...*pem.Block) string {
	t.Helper()
	var content strings.Builder
	for _, b := range blocks {
		require.NoError(t, pem.Encode(&content, b))
	}
	return file(t, t.TempDir(), "x.pem", content.String(), taken)
}

// TestTLS uses a server that requires a client certificate. The client presents
// the server's own certificate.
func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(body([]byte(oneCounted)))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	s.StartTLS()
	defer s.Close()
	certificate := &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}
	der, err := x509.MarshalPKCS8PrivateKey(s.TLS.Certificates[0].PrivateKey)
	require.NoError(t, err)
	ca, key := write(t, certificate), write(t, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, c := range map[string]struct {
		http HTTP
		want string
	}{
		"everything":             {HTTP{CA: ca, Cert: ca, Key: key}, ""},
		"not verified":           {HTTP{Insecure: true, Cert: ca, Key: key}, ""},
		"the name that it has":   {HTTP{CA: ca, ServerName: "example.com", Cert: ca, Key: key}, ""},
		"another name":           {HTTP{CA: ca, ServerName: "other.test", Cert: ca, Key: key}, "not other.test"},
		"unknown to the system":  {HTTP{Cert: ca, Key: key}, "the server certificate is not trusted (--ca, --server-name, --insecure): x509: certificate signed by unknown authority"},
		"no client certificate":  {HTTP{CA: ca}, "the server refused the TLS connection (--cert, --key): tls: certificate required"},
		"a key without its pair": {HTTP{CA: ca, Key: key}, "--cert and --key must be given together"},
		"a pair without its key": {HTTP{CA: ca, Cert: ca}, "--cert and --key must be given together"},
		"keys the wrong way":     {HTTP{Cert: key, Key: ca}, "--cert: tls: failed to find"},
		"no such certificate":    {HTTP{Cert: "/absent", Key: key}, "--cert: open /absent"},
		"no such CA":             {HTTP{CA: "/absent"}, "--ca: open /absent"},
		"a CA that is a key":     {HTTP{CA: key}, "--ca " + key + " has no certificate; it must be a PEM file"},
	} {
		var notes []string
		r := newReader(&notes)
		c.http.Timeout = 10 * time.Second
		r.HTTP, r.Endpoint = c.http, Profile
		remote, err := r.Remote(s.URL)
		if err == nil {
			_, err = remote.Take(t.Context())
		}
		if c.want == "" {
			assert.NoError(t, err, name)
		} else {
			assert.ErrorContains(t, err, c.want, name)
		}
	}
	var notes []string
	remote, err := newReader(&notes).Remote(strings.Replace(s.URL, "https", "http", 1))
	require.NoError(t, err)
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "400 Bad Request: Client sent an HTTP request to an HTTPS server")
	remote, err = newReader(&notes).Remote(strings.Replace(serve(t, body(nil)), "http", "https", 1))
	require.NoError(t, err)
	_, err = remote.Take(t.Context())
	require.ErrorContains(t, err, "the server speaks plain HTTP; use http://")
}

// TestGoroutinesOfARemote checks that births are counted from one snapshot to
// the next, and start over after Forget.
func TestGoroutinesOfARemote(t *testing.T) {
	id := 0
	remote, _ := remoteOf(t, func(w http.ResponseWriter, _ *http.Request) {
		id += 100
		fmt.Fprintf(w, "goroutine %d [running]:\nmain.main()\n\t/app/main.go:9 +0x1\n", id)
	}, func(r *Reader) { r.Endpoint = Dump })
	for i, epochs := range []int{1, 2, 1} {
		if i == 2 {
			remote.Forget()
		}
		s, err := remote.Take(t.Context())
		require.NoError(t, err)
		assert.Len(t, s.Epochs, epochs)
	}
}

// TestNoSuchFileIsAnAddress checks that host:port is requested, not opened as a
// file.
func TestNoSuchFileIsAnAddress(t *testing.T) {
	address := serve(t, body(page("trace")))
	var notes []string
	t.Chdir(t.TempDir())
	name := strings.TrimPrefix(address, "http://")
	series, err := newReader(&notes).Read(t.Context(), []string{name})
	require.NoError(t, err)
	assert.Equal(t, []string{name}, series.Names)
	assert.Equal(t, goroutine.SourceTrace, series.Snapshots[0].Source)
	require.NoError(t, os.WriteFile(filepath.Join(".", name), []byte(oneGoroutine), 0o600))
	series, err = newReader(&notes).Read(t.Context(), []string{name})
	require.NoError(t, err)
	assert.Equal(t, goroutine.SourceText, series.Snapshots[0].Source, "now there is such a file")
}
