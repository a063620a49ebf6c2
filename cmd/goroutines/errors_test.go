// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// zeros is an endless input.
type zeros struct{ text string }

func (z zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = z.text[i%len(z.text)]
	}
	return len(p), nil
}

// bomb is one megabyte of compressed data that expands to one gigabyte of text
// for a single goroutine.
func bomb(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	require.NoError(t, err)
	_, err = io.CopyN(z, io.MultiReader(strings.NewReader("goroutine 1 [running]:\n"), zeros{"x\n"}), 300<<20)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return b.Bytes()
}

// requireOneLine checks an error: its status, its single line, and the text
// that it must contain.
func requireOneLine(t *testing.T, status int, stderr string, want ...string) {
	t.Helper()
	assert.Equal(t, statusBad, status)
	var lines []string
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "goroutines: note: ") && !strings.HasPrefix(line, "goroutines: reading ") {
			lines = append(lines, line)
		}
	}
	require.Len(t, lines, 1, "%q", stderr)
	for _, w := range want {
		assert.Contains(t, lines[0], w)
	}
}

func TestBadFiles(t *testing.T) {
	dir := files(t, "-more", "3000")
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return data
	}
	half := func(name string) []byte { data := read(name); return data[:len(data)/2] }
	for name, c := range map[string]struct {
		content []byte
		args    []string
		want    string
		partial bool // a report is written despite the error
	}{
		"empty":             {content: nil, want: "it is empty"},
		"HTML":              {content: []byte("\n<!DOCTYPE html><html>404</html>"), want: "this is HTML"},
		"a picture":         {content: []byte("\x89PNG\r\n\x1a\n\x00\x00"), want: "unknown format"},
		"words":             {content: []byte("hello\nworld\n"), want: "no goroutine found"},
		"truncated profile": {content: half("profile.pb.gz"), want: "unexpected EOF"},
		"truncated debug=1": {content: half("debug1.txt"), want: "cut off", partial: true},
		"truncated dump":    {content: read("debug2.txt")[:bytes.LastIndex(half("debug2.txt"), []byte("main.deep("))+12], want: "ends within a call", partial: true},
		"truncated trace":   {content: half("trace.out"), want: "byte ", partial: true},
		"gzip bomb":         {content: bomb(t), args: []string{"-max-size", "16MiB"}, want: "over 16 MiB of decompressed data (the limit is --max-size)", partial: true},
		"zipped twice":      {content: gzipped(t, gzipped(t, []byte("goroutine 1 [running]:\n"))), want: "compressed twice"},
		"too large":         {content: read("debug2.txt"), args: []string{"-max-size", "64KiB"}, want: "over 64 KiB of data", partial: true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "input")
			require.NoError(t, os.WriteFile(file, c.content, 0o666))
			status, stdout, stderr := call(t, "", append([]string{"report", file}, c.args...)...)
			requireOneLine(t, status, stderr, c.want, file)
			if !c.partial {
				assert.Empty(t, stdout)
			}
		})
	}
	status, _, stderr := call(t, "", "report", "/does/not/exist")
	requireOneLine(t, status, stderr, "/does/not/exist: no such file")
	status, _, stderr = call(t, "", "report", dir)
	requireOneLine(t, status, stderr, "is a directory")
}

// TestBadProcesses repeats a few of the errors that internal/source tests. Each
// must be a single line.
func TestBadProcesses(t *testing.T) {
	dump := "goroutine 1 [running]:\nmain.main()\n\t/src/main.go:1\n\n"
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	text := func(status int, body string) string {
		return serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status); io.WriteString(w, body) })
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	closed.Close()
	encrypted := httptest.NewTLSServer(http.NotFoundHandler())
	defer encrypted.Close()

	for name, c := range map[string]struct {
		url  string
		args []string
		want string
	}{
		"a wrong port": {url: "http://" + closed.Addr().String(), want: "connection refused: nothing listens on that port"},
		"HTML":         {url: text(200, "<html>sign in"), want: "this is HTML"},
		"not found":    {url: text(404, "404 page not found"), want: `404 Not Found (text/plain): 404 page not found; net/http/pprof is not served there; import _ "net/http/pprof"`},
		"not trusted":  {url: encrypted.URL, want: "the server certificate is not trusted"},
		"no such host": {url: "http://nowhere.invalid:6060", want: "nowhere.invalid"},
		"no URL":       {url: "http://%zz", want: "not a URL"},
		"endless": {url: serve(func(w http.ResponseWriter, _ *http.Request) {
			io.Copy(w, io.MultiReader(strings.NewReader(dump), zeros{"x\n"}))
		}), args: []string{"-endpoint", "dump", "-max-size", "8MiB"}, want: "over 8 MiB of data"},
		"silent":  {url: serve(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), args: []string{"-timeout", "200ms"}, want: "no complete response within 200ms"},
		"cut off": {url: serve(cutOff), args: []string{"-endpoint", "profile"}, want: "the response was cut off"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, stderr := call(t, "", append([]string{"report", c.url}, c.args...)...)
			requireOneLine(t, status, stderr, c.want)
		})
	}
}

func cutOff(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	io.WriteString(w, "goroutine 1 [running]:\n")
}

// TestWaysIn uses a server that requires everything the flags can provide.
func TestWaysIn(t *testing.T) {
	var seen []string
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		seen = append(seen, r.URL.Path)
		if name != "me" || password != "pass:word" || r.Header.Get("X-Token") != "abc" || r.Header.Get("X-More") != "def" {
			http.Error(w, "no", http.StatusUnauthorized)
			return
		}
		if strings.HasSuffix(r.URL.Path, "/trace") {
			http.Error(w, "Could not enable tracing: tracing is already enabled", http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "goroutine profile: total 1\n1 @ 0x1\n#\t0x1\tmain.main+0x1\t/src/main.go:1\n\n")
	}))
	defer s.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, pemOf(s), 0o600))
	headers := filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(headers, []byte("X-More: def\n"), 0o600))

	status, _, stderr := call(t, "", "report", "-ca", ca, s.URL)
	requireOneLine(t, status, stderr, "401 Unauthorized (text/plain): no; see --user and --header")
	assert.Equal(t, []string{"/debug/pprof/trace"}, seen, "one request: the next page would be refused as well")

	t.Setenv(userVariable, "me:pass:word")
	for _, trust := range []string{"-ca=" + ca, "-insecure"} {
		status, stdout, stderr := call(t, "", "report", trust, "-header", "X-Token: abc", "-header", "@"+headers, s.URL+"/debug/pprof/")
		require.Zero(t, status, stderr)
		assert.Contains(t, stdout, "1 goroutine at")
		assert.Contains(t, stderr, "no trace, so there are no goroutine IDs and no ages")
		assert.Contains(t, stderr, "tracing is already enabled")
		assert.NotContains(t, stdout+stderr, "pass:word")
	}
}
