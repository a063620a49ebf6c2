// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"html"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

const (
	// maxHead is how many bytes of a response are kept, to say what came.
	maxHead = 4 << 10
	// maxLine is how many bytes of a line of a response are shown.
	maxLine = 200
)

// A headReader keeps the first bytes that are read through it.
type headReader struct {
	r     io.Reader
	bytes []byte
}

func (h *headReader) Read(p []byte) (int, error) {
	n, err := h.r.Read(p)
	h.bytes = append(h.bytes, p[:min(n, maxHead-len(h.bytes))]...)
	return n, err
}

// decodedBody returns the body of a response without its content coding: some
// servers and proxies compress although that was not asked for.
func decodedBody(response *http.Response) (io.Reader, error) {
	coding := strings.ToLower(strings.TrimSpace(response.Header.Get("Content-Encoding")))
	switch coding {
	case "", "identity":
		return response.Body, nil
	case "gzip", "x-gzip":
		return &gunzip{body: response.Body}, nil
	}
	return nil, fmt.Errorf("%s: the content is encoded as %q, which was not asked for; it must not be encoded, or with gzip", came(response, nil, nil), printable([]byte(coding)))
}

// gunzip decompresses a body. It reads the header of it with the first bytes, so
// that a failure is one of the content.
type gunzip struct {
	body io.Reader
	z    *gzip.Reader
}

func (g *gunzip) Read(p []byte) (n int, err error) {
	if g.z == nil {
		if g.z, err = gzip.NewReader(g.body); err != nil {
			return 0, fmt.Errorf("decompressing what the response says is gzip: %w", err)
		}
	}
	return g.z.Read(p)
}

// came says what a response is: its status, its type, where it is from if that is
// another page than was asked for, and the title of an HTML page.
func came(response *http.Response, head []byte, asked *url.URL) string {
	text := statusOf(response)
	if at := response.Request; asked != nil && at != nil && at.URL.Path != asked.Path {
		text += ", redirected to " + printable([]byte(at.URL.EscapedPath()))
	}
	if title := titleOf(head); title != "" {
		text += fmt.Sprintf(", titled %q", title)
	}
	return text
}

// statusOf returns the status and the type of a response.
func statusOf(response *http.Response) string {
	text := printable([]byte(response.Status))
	if kind, _, err := mime.ParseMediaType(response.Header.Get("Content-Type")); err == nil {
		text += " (" + printable([]byte(kind)) + ")"
	}
	return text
}

var title = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title`)

func titleOf(head []byte) string {
	m := title.FindSubmatch(head)
	if m == nil {
		return ""
	}
	return printable([]byte(html.UnescapeString(strings.Join(strings.Fields(string(m[1])), " "))))
}

// firstLine returns the first line of a text, or the title of an HTML page.
func firstLine(body []byte) string {
	body = bytes.TrimSpace(body)
	if isHTML(body) {
		return titleOf(body)
	}
	line, _, _ := bytes.Cut(body, []byte("\n"))
	return printable(line)
}

// printable returns a line that may come from anywhere, without what a terminal
// would obey, and not too long.
func printable(line []byte) string {
	text := strings.ToValidUTF8(string(line[:min(len(line), maxLine)]), "?")
	if len(line) > maxLine {
		text += "…"
	}
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, strings.TrimSpace(text))
}

// A statusError is a response with a status other than 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// isStatus reports whether an error is a response with one of these statuses.
func isStatus(err error, statuses ...int) bool {
	var e *statusError
	return errors.As(err, &e) && slices.Contains(statuses, e.status)
}

// refused returns the error for a response with a status other than 200.
func (n *Settings) refused(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxHead))
	text := statusOf(response)
	if line := firstLine(body); line != "" {
		text += ": " + line
	}
	if advice := n.adviceOn(response, body); advice != "" {
		text += "; " + advice
	}
	return &statusError{response.StatusCode, text}
}

func (n *Settings) proxyLogin() string {
	return "the proxy asks for a login; give it in " + n.Proxy + ", as http://name:password@host:port"
}

// adviceOn says what to do about a response with a status other than 200.
func (n *Settings) adviceOn(response *http.Response, body []byte) string {
	switch response.StatusCode {
	case http.StatusBadRequest:
		if bytes.Contains(body, []byte("HTTP request to an HTTPS server")) || bytes.Contains(body, []byte("HTTP request was sent to HTTPS port")) {
			return "use https://"
		}
	case http.StatusUnauthorized:
		if scheme, _, _ := strings.Cut(response.Header.Get("WWW-Authenticate"), " "); scheme != "" {
			return "it asks for " + printable([]byte(scheme)) + " authentication; see " + n.Login
		}
		return "see " + n.Login
	case http.StatusForbidden:
		return "see " + n.Login
	case http.StatusProxyAuthRequired:
		return n.proxyLogin()
	case http.StatusNotFound:
		return `net/http/pprof is not served there; import _ "net/http/pprof" in the program, or give the address at which it serves it`
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return "a proxy answered in place of the process, which it cannot reach"
	}
	return ""
}

// talkedFirst is part of the net/http error for a server that sends data before
// it receives the request, as SSH and SMTP servers do.
const talkedFirst = "readLoopPeekFail"

// closedIdle is how net/http says that a connection was closed before it had written the
// request.
const closedIdle = "server closed idle connection"

// An explanation describes errors of a request in a few words.
type explanation struct {
	timeout   time.Duration
	connected bool
	remote    *Remote // nil: unknown
}

// settings returns the names of the settings.
func (e *explanation) settings() *Settings {
	if e.remote == nil {
		return &flags
	}
	return e.remote.reader.settings()
}

func (e *explanation) of(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // without the address, which the caller adds
	}
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.As(err, new(*slowForward)):
		return fmt.Errorf("no connection within %v (%s): %w", e.timeout, e.settings().Timeout, err)
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return e.late()
	}
	if explained := e.ofConnecting(err); explained != nil {
		return explained
	}
	if explained := e.settings().ofTLS(err); explained != nil {
		return explained
	}
	text := err.Error()
	switch {
	case strings.Contains(text, `malformed HTTP response "\x15\x03`):
		return errors.New("the server speaks TLS; use https://")
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, talkedFirst):
		return errors.New("the server does not speak HTTP; is the port right?")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the response was cut off: %w%s", err, e.complaint())
	case request != nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || strings.Contains(text, closedIdle)):
		return errors.New("the connection was closed without a response; is the port right?" + e.complaint())
	}
	return err
}

// late describes an error of a request that took too long.
func (e *explanation) late() error {
	if e.connected {
		return fmt.Errorf("no complete response within %v (%s)", e.timeout, e.settings().Timeout)
	}
	return fmt.Errorf("no connection within %v (%s); is the host right, and is there a firewall?", e.timeout, e.settings().Timeout)
}

// ofConnecting describes an error before there was a connection.
func (e *explanation) ofConnecting(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &op) && op.Op == "proxyconnect":
		return fmt.Errorf("the proxy in %s cannot be reached: %w", e.settings().Proxy, op.Err)
	case err.Error() == http.StatusText(http.StatusProxyAuthRequired):
		return errors.New(e.settings().proxyLogin())
	case errors.As(err, &dns) && dns.IsNotFound:
		return fmt.Errorf("no such host %q", dns.Name)
	case errors.As(err, &dns):
		return fmt.Errorf("the name %q cannot be resolved: %s", dns.Name, dns.Err)
	case e.remote != nil && e.remote.target.socket != "":
		return ofSocket(err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on that port; is it the right one?", syscall.ECONNREFUSED)
	}
	return nil
}

// ofSocket describes an error of connecting to a Unix socket.
func ofSocket(err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: no process listens at that socket any more", syscall.ECONNREFUSED)
	case errors.Is(err, os.ErrNotExist):
		return errors.New("there is no such socket")
	case errors.Is(err, os.ErrPermission):
		return errors.New("permission denied: this user may not connect to that socket")
	}
	return nil
}

// ofTLS describes an error of TLS.
func (n *Settings) ofTLS(err error) error {
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errors.New("the server speaks plain HTTP; use http://")
	case errors.As(err, &record):
		return errors.New("the server does not speak TLS; is the port right? If it speaks plain HTTP, use http://")
	case errors.As(err, &verify):
		return fmt.Errorf("the server certificate is not trusted (%s): %w", n.Trust, verify.Err)
	case errors.As(err, &op) && op.Op == "remote error": // a TLS alert, before or after the handshake
		return fmt.Errorf("the server refused the TLS connection (%s): %w", n.Certificate, op.Err)
	}
	return nil
}

// complaint returns what kubectl said, as an addition to an error.
func (e *explanation) complaint() string {
	if e.remote == nil || e.remote.forward == nil {
		return ""
	}
	if line := e.remote.forward.complaint(); line != "" {
		return "; kubectl: " + line
	}
	return ""
}
