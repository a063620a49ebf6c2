// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine returns the name of the machine that runs the test.
func machine(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	require.NoError(t, err)
	return name
}

func TestOnlyExpectedHostsAreServed(t *testing.T) {
	var byDefault, option, all config
	byDefault = newConfig(nil)
	option = newConfig([]Option{WithHosts("Debug.Example.com.", "checkout:6060"), WithHosts(" .corp.example ", "")})
	all = newConfig([]Option{WithHosts("*")})
	for _, host := range []string{
		"localhost", "localhost:6060", "LOCALHOST:6060", "localhost.:6060", "shop.localhost", "a.b.localhost:80",
		"127.0.0.1", "127.0.0.1:6060", "127.0.0.1.:6060", "127.8.8.8", "10.1.2.3:6060", "8.8.8.8", "[::1]", "[::1]:6060", "::1", "[fe80::1%25eth0]:6060",
		machine(t), machine(t) + ":6060", strings.ToUpper(machine(t)),
		"", // HTTP/1.0, by a program
	} {
		assert.True(t, byDefault.hosts.expected(host), host)
		assert.True(t, option.hosts.expected(host), host)
		assert.True(t, all.hosts.expected(host), host)
	}
	for _, host := range []string{"debug.example.com", "DEBUG.example.com:8443", "debug.example.com.", "checkout", "checkout:80", "corp.example", "a.corp.example", "b.a.corp.example:6060"} {
		assert.False(t, byDefault.hosts.expected(host), host)
		assert.True(t, option.hosts.expected(host), host)
		assert.True(t, all.hosts.expected(host), host)
	}
	for _, host := range []string{
		"evil.example", "evil.example:6060", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "127.0.0.1.nip.io", "evilcorp.example", "corp.example.evil.example",
		machine(t) + ".evil.example", "x.debug.example.com", "example.com", "[::1].evil.example", "[::1]evil:80", "127.0.0.1:80:evil", "a:b:c", ".", "*", "-",
	} {
		assert.False(t, byDefault.hosts.expected(host), host)
		assert.False(t, option.hosts.expected(host), host)
		assert.True(t, all.hosts.expected(host), host)
	}
}

func TestARebindingWebsiteReadsNothing(t *testing.T) {
	page := Handler(watched(t), WithHosts("debug.example.com"))
	for _, path := range []string{"/", "/page.js", "/data.json", "/stack.json?n=0", "/stream?since=0", "/snapshot.pb.gz", "/report.txt", "/nothing"} {
		r := request(http.MethodGet, path)
		r.Host = "evil.example:6060"
		r.Header.Set("X-Forwarded-Host", "localhost")
		r.Header.Set("Sec-Fetch-Site", "same-origin") // the browser takes us for the same site
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		assert.Equal(t, http.StatusForbidden, w.Code, path)
		assert.Equal(t, "debugpage: the page is not served under the host name \"evil.example\"; it must be an IP address, localhost, the name of this machine or a name given to debugpage.WithHosts\n", w.Body.String())
		assert.Equal(t, "nosniff", w.Header().Get("X-Content-Type-Options"))
	}
	r := request(http.MethodGet, "/data.json")
	r.Host = "debug.example.com"
	w := httptest.NewRecorder()
	page.ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
}

// TestRequestsOfOtherSites has the headers that browsers send.
func TestRequestsOfOtherSites(t *testing.T) {
	page := Handler(watched(t))
	fetched := func(site, mode, dest string) []string {
		return []string{"Sec-Fetch-Site", site, "Sec-Fetch-Mode", mode, "Sec-Fetch-Dest", dest}
	}
	for _, tt := range []struct {
		what    string
		path    string
		headers []string
		refused bool
	}{
		{"curl, goroutines watch, go tool pprof", "/data.json", nil, false},
		{"curl", "/stack.json?n=1", nil, false},
		{"go tool pprof", "/snapshot.pb.gz", nil, false},
		{"an address typed in", "/", fetched("none", "navigate", "document"), false},
		{"a link in a chat", "/", fetched("cross-site", "navigate", "document"), false},
		{"a link to a download", "/snapshot.pb.gz", fetched("cross-site", "navigate", "document"), false},
		{"a link on another port", "/report.txt", fetched("same-site", "navigate", "document"), false},
		{"the page itself", "/data.json", fetched("same-origin", "cors", "empty"), false},
		{"the page itself, in the cluster", "/data.json", nil, false},
		{"the page itself, in a browser that sends the origin", "/data.json", []string{"Origin", "http://localhost:6060"}, false},
		{"fetch", "/data.json", fetched("cross-site", "cors", "empty"), true},
		{"fetch without CORS", "/data.json", fetched("cross-site", "no-cors", "empty"), true},
		{"a page on another port", "/data.json", fetched("same-site", "cors", "empty"), true},
		{"an image", "/data.json", fetched("cross-site", "no-cors", "image"), true},
		{"a frame", "/", fetched("cross-site", "navigate", "iframe"), true},
		{"a window with a stream", "/stream?since=0", fetched("cross-site", "navigate", "document"), true},
		{"fetch, in the cluster", "/data.json", []string{"Origin", "http://evil.example"}, true},
		{"fetch of another port, in the cluster", "/data.json", []string{"Origin", "http://localhost:3000"}, true},
		{"a sandboxed frame, in the cluster", "/data.json", []string{"Origin", "null"}, true},
		{"an origin that is none", "/data.json", []string{"Origin", "%"}, true},
	} {
		w := get(t, page, tt.path, tt.headers...)
		if tt.refused {
			assert.Equal(t, http.StatusForbidden, w.Code, tt.what)
			assert.Contains(t, w.Body.String(), "other sites", tt.what)
			continue
		}
		assert.NotEqual(t, http.StatusForbidden, w.Code, tt.what)
	}
}

func TestEveryResponseIsProtected(t *testing.T) {
	page := Handler(watched(t))
	for _, path := range []string{"/", "/page.js", "/page.css", "/icon.svg", "/data.json", "/stack.json", "/stack.json?n=99999", "/stream", "/snapshot.pb.gz", "/report.txt", "/nothing"} {
		h := get(t, page, path).Header()
		policy := h.Get("Content-Security-Policy")
		for _, directive := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			assert.Contains(t, policy, directive, path)
		}
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-referrer", h.Get("Referrer-Policy"), path)
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"), path)
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Opener-Policy"), path)
		assert.Regexp(t, `^no-(store|cache)$`, h.Get("Cache-Control"), path)
		assert.Empty(t, h.Get("Access-Control-Allow-Origin"), path)
	}
}

// leaves reports whether a browser that follows a redirect from a URL gets to
// another host. A browser takes \ for / and drops tabs and line ends. The fragment
// stays in the browser; net/url refuses some that browsers take, such as "#%".
func leaves(from *url.URL, location string) bool {
	location, _, _ = strings.Cut(location, "#")
	location = strings.NewReplacer("\\", "/", "\t", "", "\n", "", "\r", "").Replace(strings.TrimSpace(location))
	if strings.HasPrefix(location, "//") || regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*:`).MatchString(location) {
		return true
	}
	to, err := from.Parse(location)
	return err != nil || to.Host != from.Host || to.Scheme != from.Scheme
}

// FuzzRedirectsStayOnTheHost sends any request target to the page, mounted in
// every way, and holds the Location of the response to the host.
func FuzzRedirectsStayOnTheHost(f *testing.F) {
	for _, target := range []string{
		"/exact", "/exact?x=1", "/exact/", "/exact/x", "//evil.example", "//evil.example/..", "/\\evil.example", "/\\/evil.example/..", "/exact/https:evil.example%2F", "/exact/https:evil.example%2f?x",
		"/exact/javascript:alert(1)%2F", "/exact//evil.example%2F", "/exact/\\evil.example%2F", "/exact/%5C%5Cevil.example%2F", "/exact/%09//evil.example%2F", "/exact/..%2F", "/exact/%2e%2e%2F", "/exact/.", "/exact/..",
		"/%2Fevil.example%2F", "/debug/goroutines", "/debug/goroutines//evil.example/", "/debug/goroutines/..//evil.example%2F", "http://evil.example", "http://localhost", "http://localhost/exact", "*", "evil.example", "https:evil.example/", "/exact/:%2F", "/exact/%%2F", "/.?#%",
	} {
		f.Add(target)
	}
	page := &page{resources: map[string]http.HandlerFunc{"": asset("text/html", "page")}}
	mux := http.NewServeMux()
	mux.Handle("/debug/goroutines/", page)
	mux.Handle("/exact", http.StripPrefix("/exact", page))
	mux.Handle("/exact/", http.StripPrefix("/exact", page))
	mounts := map[string]http.Handler{"mux": mux, "no mux": page, "stripped": http.StripPrefix("/exact", page), "stripped with its slash": http.StripPrefix("/exact/", page)}
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET " + target + " HTTP/1.1\r\nHost: localhost:6060\r\n\r\n")))
		if err != nil {
			return // a server refuses it
		}
		from, err := url.Parse("http://localhost:6060/")
		require.NoError(t, err)
		from = from.ResolveReference(&url.URL{Path: r.URL.Path, RawPath: r.URL.RawPath})
		for name, mount := range mounts {
			w := httptest.NewRecorder()
			mount.ServeHTTP(w, r)
			if location := w.Header().Get("Location"); location != "" {
				assert.False(t, leaves(from, location), "%s: %q redirects to %q", name, target, location)
			}
		}
	})
}

func TestARedirectToAnotherHostIsRecognized(t *testing.T) {
	from, err := url.Parse("http://localhost:6060/exact")
	require.NoError(t, err)
	for _, location := range []string{"//evil.example", `\\evil.example`, `/\evil.example`, "https:evil.example/", "javascript:x", "http://evil.example/", "/\t/evil.example", " //evil.example"} {
		assert.True(t, leaves(from, location), location)
	}
	for _, location := range []string{"./exact/", "/exact/", "exact/", "../", "./https:evil.example/"} {
		assert.False(t, leaves(from, location), location)
	}
}
