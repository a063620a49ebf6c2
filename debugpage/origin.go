// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"cmp"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

// hosts are the names under which the page is served, besides those that an
// attacker cannot have.
type hosts struct {
	all     bool
	names   []string // in lower case, without a port
	domains []string // begin with a dot
}

// add adds a value of [WithHosts].
func (h *hosts) add(name string) {
	name = nameOf(strings.TrimSpace(name))
	switch {
	case name == "*":
		h.all = true
	case strings.HasPrefix(name, "."):
		h.domains = append(h.domains, name)
		h.names = append(h.names, name[1:])
	case name != "":
		h.names = append(h.names, name)
	}
}

// addMachine adds the name of this machine, which in a container is the name of
// the pod.
func (h *hosts) addMachine() {
	if name, err := os.Hostname(); err == nil && name != "" {
		h.names = append(h.names, nameOf(name))
	}
}

// expected reports whether a Host header is one under which the page is served.
//
// A website whose DNS name suddenly means our address (DNS rebinding) is, for
// the browser, the same site as this page and may read it. But its requests
// carry its name. They can carry neither an address nor localhost, which no one
// can register, and a browser never leaves the header out.
func (h *hosts) expected(host string) bool {
	name := nameOf(host)
	if h.all || host == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return slices.Contains(h.names, name) ||
		slices.ContainsFunc(h.domains, func(domain string) bool { return strings.HasSuffix(name, domain) })
}

// nameOf returns the name or address in a Host header: without a port, brackets
// and the dot of a full domain name, and in lower case.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	} else if inner, ok := strings.CutPrefix(host, "["); ok {
		host = strings.TrimSuffix(inner, "]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// foreign reports whether a request comes from a page of another origin and is
// not the result of following a link. Such a page could not read the response,
// but it could use up streams and CPU time, and take snapshots.
//
// Browsers send Sec-Fetch-Site over HTTPS and to this machine. Elsewhere there is
// at most Origin, which they send with a request to another origin. Programs send
// neither. net/http.CrossOriginProtection lets every GET request pass.
func foreign(r *http.Request, resource string) bool {
	h := r.Header
	switch h.Get("Sec-Fetch-Site") {
	case "same-origin", "none":
		return false
	case "":
		origin := h.Get("Origin")
		return origin != "" && !sameHost(origin, r.Host)
	}
	link := h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
	return !link || resource == streamName || resource == captureName // a form of another site is followed like a link
}

func sameHost(origin, host string) bool {
	u, err := url.Parse(origin)
	return err == nil && strings.EqualFold(u.Host, host)
}

// maxQuoted is how many bytes of a request a response repeats.
const maxQuoted = 100

// quote quotes a part of a request for an error message.
func quote(text string) string {
	if len(text) > maxQuoted {
		return strconv.Quote(text[:maxQuoted]) + "…"
	}
	return strconv.Quote(text)
}

// withSlash returns the reference from a request to the same path with a slash
// at its end. It is relative, because the path before a stripped prefix may be
// unknown. It begins with "./", because an element such as "https:host" would
// otherwise be the address of another host.
func withSlash(r *http.Request) string {
	asked := askedPath(r)
	return "./" + asked[strings.LastIndexByte(asked, '/')+1:] + "/"
}

// askedPath returns the path of the request before any StripPrefix, as it was
// sent.
func askedPath(r *http.Request) string {
	asked, err := url.ParseRequestURI(r.RequestURI)
	if err != nil { // not from a server
		asked = r.URL
	}
	return cmp.Or(asked.EscapedPath(), "/")
}
