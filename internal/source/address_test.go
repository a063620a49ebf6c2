// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParseTarget(t *testing.T) {
	for name, want := range map[string]string{ // the request for a profile
		"6060":                                       "http://localhost:6060/debug/pprof/goroutine",
		"localhost:6060":                             "http://localhost:6060/debug/pprof/goroutine",
		":6060":                                      "http://localhost:6060/debug/pprof/goroutine",
		":6060/debug/pprof/":                         "http://localhost:6060/debug/pprof/goroutine",
		"6060/debug/pprof/heap?debug=1":              "http://localhost:6060/debug/pprof/goroutine",
		"h:6060/debug/pprof/goroutine?debug=2":       "http://h:6060/debug/pprof/goroutine?debug=2",
		"http://h:6060/":                             "http://h:6060/debug/pprof/goroutine",
		"HTTP://h:6060/":                             "http://h:6060/debug/pprof/goroutine",
		"http://h:6060/debug/pprof":                  "http://h:6060/debug/pprof/goroutine",
		"http://h/debug/pprof/":                      "http://h/debug/pprof/goroutine",
		"http://h/debug/pprof/?debug=1":              "http://h/debug/pprof/goroutine",
		"http://h/debug/pprof/profile?seconds=30":    "http://h/debug/pprof/goroutine",
		"http://h/debug/pprof/cmdline":               "http://h/debug/pprof/goroutine",
		"http://h/debug":                             "http://h/debug/pprof/goroutine",
		"http://h/internal/pprof/":                   "http://h/internal/pprof/goroutine",
		"https://h/admin":                            "https://h/admin/debug/pprof/goroutine",
		"https://h/admin/debug/pprof/":               "https://h/admin/debug/pprof/goroutine",
		"http://me:secret@h":                         "http://me:secret@h/debug/pprof/goroutine",
		"http://[::1]:6060":                          "http://[::1]:6060/debug/pprof/goroutine",
		"[::1]:6060":                                 "http://[::1]:6060/debug/pprof/goroutine",
		"[fe80::1%eth0]:6060":                        "http://[fe80::1%25eth0]:6060/debug/pprof/goroutine",
		"http://h/debug/pprof/goroutine":             "http://h/debug/pprof/goroutine",
		"http://h/debug/pprof/goroutine?debug=2#top": "http://h/debug/pprof/goroutine?debug=2",
		"http://h/debug/pprof/goroutineleak":         "http://h/debug/pprof/goroutineleak",
		"http://h/debug/pprof/trace?seconds=1":       "http://h/debug/pprof/trace?seconds=1",
		"http://h/anything?of=its+own":               "http://h/anything?of=its+own",
		"http://h/proxy/instance-3/debug/pprof/":     "http://h/proxy/instance-3/debug/pprof/goroutine",
		"http://h/proxy/a%2Fb/debug/pprof/goroutine": "http://h/proxy/a%2Fb/debug/pprof/goroutine",
		"http://h/proxy/a%2Fb/debug/pprof/heap":      "http://h/proxy/a%2Fb/debug/pprof/goroutine",
		"http://h/debug/goroutines/":                 "http://h/debug/pprof/goroutine",
		"http://h/x/debug/goroutines/data.json":      "http://h/x/debug/pprof/goroutine",
		"http://h/debug/goroutines/stack.json?n=12":  "http://h/debug/pprof/goroutine",
		"http://h/debug/goroutines/snapshot.pb.gz":   "http://h/debug/goroutines/snapshot.pb.gz",
	} {
		target, err := parseTarget(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, target.page(Profile).String(), name)
	}
	for name, want := range map[string]string{
		"http://%zz":               "not a URL: invalid URL escape",
		"http://":                  "not a URL: no host",
		"http://:6060":             "not a URL: no host",
		"http:///path":             "not a URL: no host",
		"http://h:port/":           `not a URL: invalid port ":port"`,
		"http://h\x7f":             "not a URL: net/url: invalid control character",
		"http://[::1/":             "not a URL: missing ']'",
		"https://?debug=":          "not a URL: no host",
		"unix:":                    "no path of a socket; it must be unix:/path/to.sock",
		"http+unix://":             "no path of a socket; it must be http+unix://%2Fpath%2Fto.sock",
		"http+unix:///run/x.sock/": "no path of a socket; it must be http+unix://%2Fpath%2Fto.sock",
		"http+unix://%zz/":         `not a URL: invalid URL escape "%zz"`,
	} {
		_, err := parseTarget(name)
		assert.ErrorContains(t, err, want, name)
	}
}

func TestSocketsAndResources(t *testing.T) {
	type parsed struct {
		socket   string
		resource string
		page     string
	}
	for name, want := range map[string]parsed{
		"unix:/run/a.sock":                              {"/run/a.sock", "", "http://localhost/debug/pprof/goroutine"},
		"unix:///run/a.sock":                            {"/run/a.sock", "", "http://localhost/debug/pprof/goroutine"},
		"unix:a.sock":                                   {"a.sock", "", "http://localhost/debug/pprof/goroutine"},
		"unix:/run/a.sock:/admin/debug/pprof/":          {"/run/a.sock", "", "http://localhost/admin/debug/pprof/goroutine"},
		"unix:/run/a.sock:/debug/pprof/trace?seconds=1": {"/run/a.sock", "", "http://localhost/debug/pprof/trace?seconds=1"},
		"http+unix://%2Frun%2Fa.sock":                   {"/run/a.sock", "", "http://localhost/debug/pprof/goroutine"},
		"http+unix://%2Frun%2Fa.sock/debug/pprof/heap":  {"/run/a.sock", "", "http://localhost/debug/pprof/goroutine"},
		"https+unix://%2Frun%2Fa.sock/":                 {"/run/a.sock", "", "https://localhost/debug/pprof/goroutine"},
		"pod/shop-7d4:6060":                             {"", "pod/shop-7d4:6060", "http://localhost:6060/debug/pprof/goroutine"},
		"shop/web-0:6060":                               {"", "shop/pod/web-0:6060", "http://localhost:6060/debug/pprof/goroutine"},
		"shop/svc/web:6060":                             {"", "shop/service/web:6060", "http://localhost:6060/debug/pprof/goroutine"},
		"deploy/web:6060/debug/pprof/goroutine?debug=2": {"", "deployment/web:6060", "http://localhost:6060/debug/pprof/goroutine?debug=2"},
	} {
		require.True(t, IsURL(name), name)
		target, err := parseTarget(name)
		require.NoError(t, err, name)
		got := parsed{socket: target.socket, page: target.page(Profile).String()}
		if target.resource != nil {
			got.resource = target.resource.String()
		}
		assert.Equal(t, want, got, name)
		again, err := parseTarget(target.shown(target.page(Profile)))
		require.NoError(t, err, "what is shown can be given")
		assert.Equal(t, target.page(Profile), again.page(Profile), name)
		assert.Equal(t, target.socket, again.socket, name)
	}
}

func TestPages(t *testing.T) {
	all, err := parseTarget("h:80")
	require.NoError(t, err)
	one, err := parseTarget("h:80/debug/pprof/goroutine?debug=1")
	require.NoError(t, err)
	for endpoint, want := range map[Endpoint]string{
		Trace: "trace?seconds=0.005", Profile: "goroutine", Dump: "goroutine?debug=2",
	} {
		assert.Equal(t, "http://h:80/debug/pprof/"+want, all.page(endpoint).String())
		assert.Equal(t, "http://h:80/debug/pprof/goroutine?debug=1", one.page(endpoint).String(), "the argument named a page")
	}
	assert.Equal(t, "http://h:80/debug/pprof/", all.base.String(), "asking changes nothing")
}

func TestIsURL(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"host:6060", "6060", "pod:1"} {
		file(t, dir, name, "x", taken)
	}
	for name, want := range map[string]bool{
		"http://h": true, "https://h/x": true, "h:6060": true, ":6060": true, "[::1]:80": true, "h:80/x": true, "6061": true, "pod/x:6060": true,
		"unix:/x": true, "http+unix://%2Fx": true, "dir/h:6060": true, // of a namespace
		"host:6060": false, "6060": false, "pod:1": false, // files have these names
		"-": false, "dump.txt": false, "h": false, `C:\dumps:6060`: false, "h:port": false, "C:": false, "C:/dumps/x": false, "h:": false,
		"h:99999": false, "a:b:1": false, "": false, "ftp://h": false, "0": false, "65536": false, "a/b/c:1": false, "dir/Dump:1": false, "./pod/x:1": false,
	} {
		assert.Equal(t, want, IsURL(name), name)
	}
}

// TestAlmostAddresses checks what is said of an argument that is neither a file nor
// an address.
func TestAlmostAddresses(t *testing.T) {
	t.Chdir(t.TempDir())
	var notes []string
	for name, want := range map[string]string{
		"localhost":   "localhost: no such file or directory; an address must have a port, as in localhost:6060",
		"h:99999":     "h:99999: no such file or directory; as an address it has the port 99999, which must be 1 to 65535",
		"99999":       "99999: no such file or directory; as a port it must be 1 to 65535",
		"::1:6060":    "::1:6060: no such file or directory; in an address, IPv6 must be in brackets: [::1]:6060",
		"ftp://h/x":   `ftp://h/x: no such file or directory; as an address it has the scheme "ftp", which must be http, https, http+unix or https+unix`,
		"dumps/x.txt": "dumps/x.txt: no such file or directory",
	} {
		_, err := newReader(&notes).Read(t.Context(), []string{name})
		assert.EqualError(t, err, want)
	}
}

func TestSecretsInAddresses(t *testing.T) {
	t.Chdir(t.TempDir())
	for given, want := range map[string]string{
		"http://me:secret@h:1":                         "http://h:1/debug/pprof/",
		"http://secret@h:1/x?debug=2&token=secret&y":   "http://h:1/x?debug=2&token=xxxxx&y",
		"http://secret@h:port/?token=secret":           "http://h:port/",
		"http://h:1":                                   "http://h:1",
		"h:1":                                          "h:1",
		"unix:/x:/trace?key=secret":                    "unix:/x:/trace?key=xxxxx",
		"pod/x:1/debug/pprof/goroutine?key=secret#top": "pod/x:1/debug/pprof/goroutine?key=xxxxx",
		"who@where?.txt":                               "who@where?.txt", // a file
	} {
		assert.Equal(t, want, withoutSecrets(given))
	}
}
