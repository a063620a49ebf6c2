// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// An Endpoint selects the page of net/http/pprof that a process is asked for.
type Endpoint string

// The endpoints.
const (
	// Auto requests the trace, the only page that has goroutine IDs and does
	// not stop the process. If there is no trace, it requests the profile.
	Auto    Endpoint = "auto"
	Trace   Endpoint = "trace"
	Profile Endpoint = "profile"
	// Dump is debug=2. The process is stopped while it is written.
	Dump Endpoint = "dump"
)

// traceWindow is the duration of a trace in seconds. The page accepts any
// duration above 0. The trace lists all goroutines at its beginning.
const traceWindow = "0.005"

// HTTP says how to connect to processes.
type HTTP struct {
	User       string      // name:password for basic authentication; empty: none
	Header     http.Header // sent with every request
	CA         string      // file with the certificates to trust; empty: the system's
	Cert, Key  string      // files with the client certificate and its key
	ServerName string      // name to verify the certificate against; empty: the host
	Insecure   bool        // do not verify certificates
	Timeout    time.Duration
}

// client returns an HTTP client. It never follows a redirect to another host,
// because that host would receive the headers.
func (c HTTP) client(dial dialer) (*http.Client, error) {
	config, err := c.tls()
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	transport.DisableCompression = true // profiles are already compressed
	if dial != nil {
		transport.Proxy, transport.DialContext = nil, dial
	}
	return &http.Client{Transport: transport, CheckRedirect: sameHost}, nil
}

// A dialer connects to a process that is reached in another way than by its host
// and port.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (c HTTP) tls() (*tls.Config, error) {
	config := &tls.Config{ServerName: c.ServerName, InsecureSkipVerify: c.Insecure}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca %s has no certificate; it must be a PEM file", c.CA)
		}
	}
	if (c.Cert == "") != (c.Key == "") {
		return nil, errors.New("--cert and --key must be given together")
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("--cert: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func sameHost(r *http.Request, via []*http.Request) error {
	switch {
	case r.URL.Host != via[0].URL.Host || r.URL.Scheme != via[0].URL.Scheme:
		return fmt.Errorf("it redirects to %s://%s; give that address if you trust it", r.URL.Scheme, r.URL.Host)
	case len(via) > 5:
		return errors.New("it redirects more than 5 times")
	}
	return nil
}

// A Remote takes snapshots of one process and recognizes goroutines from one
// snapshot to the next. It is not safe for concurrent use.
type Remote struct {
	Name     string // the address, without secrets
	Host     string // the name of its host, pod or socket
	Instance string // its name among several processes

	reader  *Reader
	target  target
	parsers *parsers
	client  *http.Client
	shared  bool     // the client is the caller's
	forward *forward // nil: the process is not reached through kubectl
	noTrace error    // why traces are no longer requested
}

// Remote returns the process at an address. It must be closed.
func (r *Reader) Remote(name string) (*Remote, error) {
	t, err := parseTarget(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", withoutSecrets(name), err)
	}
	remote := r.remote(t)
	remote.client, err = r.HTTP.client(remote.dialer())
	if err != nil {
		return nil, err
	}
	return remote, nil
}

// remote returns the process at a target, without a client.
func (r *Reader) remote(t target) *Remote {
	u := t.exact
	if u == nil {
		u = t.base
	}
	remote := &Remote{Name: t.shown(u), reader: r, target: t}
	remote.begin()
	remote.Host, remote.Instance = t.identity(u)
	return remote
}

// dialer returns nil if the process is reached by its host and port.
func (r *Remote) dialer() dialer {
	switch {
	case r.target.resource != nil:
		r.forward = &forward{resource: *r.target.resource, cluster: r.reader.Kubernetes}
		return r.forward.dial
	case r.target.socket != "":
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", r.target.socket)
		}
	}
	return nil
}

// Close ends the connections to the process, and kubectl if it forwards them.
func (r *Remote) Close() {
	if !r.shared {
		r.client.CloseIdleConnections()
	}
	if r.forward != nil {
		r.forward.close()
	}
}

// Forget discards all state: the next snapshot is of another process at this
// address.
func (r *Remote) Forget() { r.begin() }

// begin begins without any state.
func (r *Remote) begin() {
	r.parsers, r.noTrace = newParsers(), nil
	r.parsers.setting = r.reader.settings().MaxSize
	if r.shared {
		r.parsers.details = nil
	}
}

// Take takes a snapshot. It may return both a snapshot and an error that
// describes what the snapshot lacks.
func (r *Remote) Take(ctx context.Context) (*goroutine.Snapshot, error) {
	r.parsers.ctx = ctx
	e := r.reader.Endpoint
	if e != Auto && e != "" || r.target.exact != nil {
		return r.get(ctx, r.target.page(e))
	}
	if r.noTrace == nil && !r.reader.wantsLabels() {
		s, err := r.get(ctx, r.target.page(Trace))
		if err == nil || fatal(err) {
			return s, err
		}
		r.noTrace = err
		r.reader.note(fmt.Sprintf("%s: no trace, so there are no goroutine IDs and no ages: %v", r.Name, err))
	}
	s, err := r.get(ctx, r.target.page(Profile))
	if r.target.snapshot == nil || !isStatus(err, http.StatusNotFound) {
		return s, err
	}
	return r.get(ctx, r.target.snapshot)
}

// fatal reports whether another page would fail for the same reason.
func fatal(err error) bool {
	var content *contentError
	if errors.As(err, new(*statusError)) {
		return isStatus(err, http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired)
	}
	return !errors.As(err, &content)
}

// get requests a page. Its error says what was asked, what came and what to do.
func (r *Remote) get(ctx context.Context, u *url.URL) (*goroutine.Snapshot, error) {
	timeout := r.reader.HTTP.Timeout
	if r.target.exact != nil {
		timeout += asksFor(u)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s, connected, err := r.fetch(ctx, u)
	if err == nil {
		return s, nil
	}
	why := &explanation{timeout: timeout, connected: connected, remote: r}
	err = why.of(err)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	return s, fmt.Errorf("%s %s: %w", http.MethodGet, r.target.shown(u), err)
}

// maxAsked is how long a page may be told to take.
const maxAsked = time.Hour

// asksFor returns how long a page takes by itself, as in trace?seconds=5.
func asksFor(u *url.URL) time.Duration {
	seconds, err := strconv.ParseFloat(u.Query().Get("seconds"), 64)
	if err != nil || !(seconds > 0) {
		return 0
	}
	return time.Duration(min(seconds, maxAsked.Seconds()) * float64(time.Second))
}

// request returns the request for a page.
func (r *Remote) request(ctx context.Context, u *url.URL) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	for key, values := range r.reader.HTTP.Header {
		request.Header[key] = values
		if key == "Host" {
			request.Host = values[0]
		}
	}
	if name, password, ok := strings.Cut(r.reader.HTTP.User, ":"); ok {
		request.SetBasicAuth(name, password)
	}
	return request, nil
}

// fetch reads a page. It also returns whether there was a connection.
func (r *Remote) fetch(ctx context.Context, u *url.URL) (s *goroutine.Snapshot, connected bool, err error) {
	began := time.Now()
	if r.forward != nil {
		if err := r.forward.start(ctx); err != nil {
			return nil, false, err
		}
	}
	var got atomic.Bool
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { got.Store(true) }})
	request, err := r.request(traced, u)
	if err != nil {
		return nil, false, err
	}
	response, err := r.client.Do(request)
	if err != nil {
		return nil, got.Load(), err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, true, r.reader.settings().refused(response)
	}
	s, err = r.read(u, response)
	if s != nil {
		s.Time, s.Duration = time.Now(), time.Since(began)
	}
	return s, true, err
}

// read reads the body of a page.
func (r *Remote) read(u *url.URL, response *http.Response) (*goroutine.Snapshot, error) {
	decoded, err := decodedBody(response)
	if err != nil {
		return nil, err
	}
	head := &headReader{r: decoded}
	body := r.reader.watched(r.target.shown(u), head)
	defer body.done()
	s, err := r.parsers.read(body, time.Now(), r.reader.Labels, r.reader.Max)
	if err == nil && path.Base(u.Path) == "trace" && s.Source != goroutine.SourceTrace {
		err = &contentError{parse.ErrNotTrace}
	}
	var content *contentError
	if errors.As(err, &content) && (s == nil || s.Total == 0 || content.error == parse.ErrNotTrace) {
		err = fmt.Errorf("%s: %w", came(response, head.bytes, u), err)
	}
	return s, err
}
