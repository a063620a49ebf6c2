// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// IsURL reports whether an argument names a process rather than a file. It does
// if it begins with a scheme of [schemes], or if it is a port, host:port or the
// port of a Kubernetes resource, and no file has that name.
func IsURL(name string) bool {
	if hasScheme(name) {
		return true
	}
	if _, ok := parseResource(name); !ok && !isPort(name) && !isHostPort(name) {
		return false
	}
	_, err := os.Stat(name)
	return err != nil
}

// schemes are those of addresses.
var schemes = []string{"http://", "https://", "http+unix://", "https+unix://", "unix:"}

// schemeOf returns the scheme that an address begins with, in lower case, and
// the rest of it.
func schemeOf(name string) (scheme, rest string) {
	for _, s := range schemes {
		if len(name) >= len(s) && strings.EqualFold(name[:len(s)], s) {
			return s, name[len(s):]
		}
	}
	return "", name
}

func hasScheme(name string) bool {
	scheme, _ := schemeOf(name)
	return scheme != ""
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && n > 0
}

// isHostPort reports whether name is host:port, and whatever follows these in a
// URL. The port may be the name of a service, as in host:http.
func isHostPort(name string) bool {
	head, _ := cutPage(name)
	host, port, err := net.SplitHostPort(head)
	if err != nil || port == "" || strings.Contains(host, `\`) {
		return false
	}
	_, err = net.LookupPort("tcp", port)
	return err == nil
}

// cutPage cuts the path and the query off an address without a scheme.
func cutPage(name string) (head, page string) {
	if i := strings.IndexAny(name, "/?#"); i >= 0 {
		return name[:i], name[i:]
	}
	return name, ""
}

// noSuchFile says what is wrong with an argument that is neither a file nor an
// address, if it resembles an address.
func noSuchFile(name string, err error) error {
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	scheme, _, ok := strings.Cut(name, "://")
	head, _ := cutPage(name)
	colon := strings.LastIndexByte(head, ':')
	switch {
	case ok:
		return fmt.Errorf("%w; as an address it has the scheme %q, which must be http, https, http+unix or https+unix", err, scheme)
	case strings.Count(head, ":") > 1 && net.ParseIP(head[:colon]) != nil:
		return fmt.Errorf("%w; in an address, IPv6 must be in brackets: [%s]:%s", err, head[:colon], head[colon+1:])
	case colon >= 0 && isNumber(head[colon+1:]):
		return fmt.Errorf("%w; as an address it has the port %s, which must be 1 to 65535", err, head[colon+1:])
	case isNumber(name):
		return fmt.Errorf("%w; as a port it must be 1 to 65535", err)
	case !strings.ContainsAny(name, `/\`):
		return fmt.Errorf("%w; an address must have a port, as in localhost:6060", err)
	}
	return err
}

func isNumber(text string) bool {
	return text != "" && strings.Trim(text, "0123456789") == ""
}

// A target is a process that serves net/http/pprof.
type target struct {
	base  *url.URL // the index page, ending in a slash
	exact *url.URL // the only page to request, if the argument named one
	// snapshot is what to request if there is no net/http/pprof: the latest snapshot
	// of the live page of otelgoroutine, or nil.
	snapshot *url.URL

	socket   string    // the Unix socket that the process listens at; empty: TCP
	resource *resource // the Kubernetes resource that the process runs in; nil: none
}

// parseTarget accepts a port; host:port or a URL with the root of a server, the
// index page below any path, or a single page; the same at a Unix socket; and the
// port of a Kubernetes resource.
func parseTarget(name string) (target, error) {
	scheme, rest := schemeOf(name)
	switch scheme {
	case "unix:", "http+unix://", "https+unix://":
		return parseSocket(scheme, rest)
	case "":
		if r, ok := parseResource(name); ok {
			return targetOf(r.url(), target{resource: &r})
		}
		name = "http://" + withHost(name)
	}
	return targetOf(name, target{})
}

// withHost completes an address without a scheme.
func withHost(name string) string {
	head, page := cutPage(name)
	switch {
	case isPort(head):
		head = "localhost:" + head
	case strings.HasPrefix(head, ":"):
		head = "localhost" + head
	case strings.HasPrefix(head, "[") && !strings.Contains(head, "%25"):
		head = strings.Replace(head, "%", "%25", 1) // the zone of an IPv6 address
	}
	return head + page
}

// parseSocket reads what follows the scheme in unix:PATH, unix:PATH:/page, as
// nginx has it, unix:///PATH, and http+unix://ENCODED-PATH/page.
func parseSocket(scheme, rest string) (t target, err error) {
	socket, page := rest, ""
	if scheme == "unix:" {
		if after, ok := strings.CutPrefix(rest, "///"); ok {
			socket = "/" + after
		}
		if i := strings.Index(socket, ":/"); i >= 0 {
			socket, page = socket[:i], socket[i+1:]
		}
	} else {
		socket, page = cutPage(rest)
		if socket, err = url.PathUnescape(socket); err != nil {
			return target{}, fmt.Errorf("not a URL: %w", err)
		}
	}
	switch {
	case socket == "" && scheme == "unix:":
		return target{}, errors.New("no path of a socket; it must be unix:/path/to.sock")
	case socket == "":
		return target{}, fmt.Errorf("no path of a socket; it must be %s%%2Fpath%%2Fto.sock, or unix:/path/to.sock", scheme)
	}
	scheme = strings.Replace(scheme, "+unix", "", 1)
	if scheme == "unix:" {
		scheme = "http://"
	}
	return targetOf(scheme+"localhost"+page, target{socket: socket})
}

func targetOf(address string, t target) (target, error) {
	u, err := url.Parse(address)
	if err != nil {
		return target{}, fmt.Errorf("not a URL: %w", errors.Unwrap(err))
	}
	if u.Hostname() == "" {
		return target{}, errors.New("not a URL: no host")
	}
	u.Scheme, u.Fragment, u.RawFragment = strings.ToLower(u.Scheme), "", ""
	t.locate(u)
	return t, nil
}

// singlePages are the pages that have goroutines. Those of net/http/pprof that
// have none stand for the process.
var singlePages = []string{"goroutine", "goroutineleak", "trace"}

// liveResources are the resources of the live page, without the page itself.
var liveResources = []string{"data.json", "stack.json", "stream", "report.txt", "capture"}

// locate finds out which pages to request. A single page is an address that
// names one that has goroutines, or that is none of net/http/pprof and has a query.
func (t *target) locate(u *url.URL) {
	where := strings.TrimSuffix(u.EscapedPath(), "/")
	dir, page := path.Split(where)
	dir = strings.TrimSuffix(dir, "/")
	if slices.Contains(liveResources, page) && strings.HasSuffix(dir, "/debug/goroutines") {
		where = dir
	}
	switch {
	case slices.Contains(singlePages, page), page == "snapshot.pb.gz":
		t.exact = u
	case page == "pprof":
		t.base = pageAt(u, where+"/")
	case strings.HasSuffix(dir, "/pprof"):
		t.base = pageAt(u, dir+"/")
	case strings.HasSuffix(where, "/debug/goroutines"):
		t.base = pageAt(u, strings.TrimSuffix(where, "goroutines")+"pprof/")
		t.snapshot = pageAt(u, where+"/snapshot.pb.gz")
	case u.RawQuery != "":
		t.exact = u
	case page == "debug":
		t.base = pageAt(u, where+"/pprof/")
	default:
		t.base = pageAt(u, where+"/debug/pprof/")
	}
}

// pageAt returns the address of another page of the same server.
func pageAt(u *url.URL, escapedPath string) *url.URL {
	c := *u
	c.Path, c.RawPath, c.RawQuery = escapedPath, escapedPath, ""
	if plain, err := url.PathUnescape(escapedPath); err == nil {
		c.Path = plain
	}
	return &c
}

// page returns the address of an endpoint.
func (t *target) page(e Endpoint) *url.URL {
	if t.exact != nil {
		return t.exact
	}
	switch e {
	case Trace:
		u := t.base.JoinPath("trace")
		u.RawQuery = "seconds=" + traceWindow
		return u
	case Dump:
		u := t.base.JoinPath("goroutine")
		u.RawQuery = "debug=2"
		return u
	}
	return t.base.JoinPath("goroutine")
}

// publicParameters are the parameters of pages whose values are no secrets.
var publicParameters = []string{"debug", "seconds", "gc", "n"}

// shown formats the address of a page as it may be given again, but without
// what may be secret: the user, and values of parameters that pprof does not have.
func (t *target) shown(u *url.URL) string {
	page := u.EscapedPath()
	if u.RawQuery != "" {
		page += "?" + publicQuery(u.RawQuery)
	}
	switch {
	case t.resource != nil:
		return t.resource.String() + page
	case t.socket != "" && u.Scheme == "https":
		return "https+unix://" + url.PathEscape(t.socket) + page
	case t.socket != "":
		return "unix:" + t.socket + ":" + page
	}
	return u.Scheme + "://" + u.Host + page
}

func publicQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); ok && !slices.Contains(publicParameters, name) {
			pairs[i] = name + "=xxxxx"
		}
	}
	return strings.Join(pairs, "&")
}

// identity returns the name of the process's host, and its name among several
// processes.
func (t *target) identity(u *url.URL) (host, instance string) {
	switch {
	case t.resource != nil:
		return t.resource.name, t.resource.String()
	case t.socket != "":
		name := strings.TrimSuffix(path.Base(t.socket), path.Ext(t.socket))
		return name, "unix:" + t.socket
	}
	return u.Hostname(), u.Host
}

var (
	userInfo   = regexp.MustCompile(`//[^/?#]*@`)
	parameters = regexp.MustCompile(`[?#].*`)
)

// withoutSecrets returns an argument as it is given, unless it is an address with
// something that may be secret.
func withoutSecrets(name string) string {
	if !IsURL(name) || !strings.ContainsAny(name, "@?#") {
		return name
	}
	t, err := parseTarget(name)
	switch {
	case err != nil:
		return parameters.ReplaceAllString(userInfo.ReplaceAllString(name, "//"), "")
	case t.exact != nil:
		return t.shown(t.exact)
	}
	return t.shown(t.base)
}
