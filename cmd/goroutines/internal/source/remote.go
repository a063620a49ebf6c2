package source

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// An Endpoint says which page of net/http/pprof a process is asked for.
type Endpoint string

// The endpoints.
const (
	// Auto is the trace, the only page with goroutine IDs that does not stop
	// the process, or the profile if there is no trace.
	Auto    Endpoint = "auto"
	Trace   Endpoint = "trace"
	Profile Endpoint = "profile"
	// Dump is debug=2. It stops the process while it is written.
	Dump Endpoint = "dump"
)

// traceWindow is the duration of a trace in seconds. The page accepts anything
// over 0; the goroutines are all listed at the beginning.
const traceWindow = "0.005"

// HTTP is how processes are reached.
type HTTP struct {
	User       string      // name:password for basic authentication; empty: none
	Header     http.Header // sent with every request
	CA         string      // file with certificates to trust; empty: the system's
	Cert, Key  string      // files with the client's certificate
	ServerName string      // to verify the certificate against; empty: the host
	Insecure   bool        // do not verify certificates
	Timeout    time.Duration
}

// client returns an HTTP client that never follows a redirect to another host,
// which would receive the headers.
func (c HTTP) client() (*http.Client, error) {
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
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = config
	transport.DisableCompression = true // profiles are compressed already
	return &http.Client{Transport: transport, CheckRedirect: sameHost}, nil
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

// IsURL reports whether an argument names a process rather than a file: it has
// a scheme, or is host:port and no file has that name.
func IsURL(name string) bool {
	if strings.HasPrefix(name, "http://") || strings.HasPrefix(name, "https://") {
		return true
	}
	host, port, err := net.SplitHostPort(name)
	if err != nil || strings.ContainsAny(host, `/\`) {
		return false
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return false
	}
	_, err = os.Stat(name)
	return err != nil
}

// A target is a process that serves net/http/pprof.
type target struct {
	base  *url.URL // the index page, with a slash at the end
	exact *url.URL // the one page to ask for, if the argument named it
}

// parseTarget accepts the root of a server, the index page below any path, and
// a single page: an address with a query or with the name of a profile.
func parseTarget(name string) (target, error) {
	if !strings.Contains(name, "://") {
		name = "http://" + name
	}
	u, err := url.Parse(name)
	if err != nil {
		return target{}, fmt.Errorf("not a URL: %w", errors.Unwrap(err))
	}
	if u.Host == "" {
		return target{}, errors.New("not a URL: no host")
	}
	switch path.Base(u.Path) {
	case "goroutine", "goroutineleak", "trace":
		return target{exact: u}, nil
	}
	if u.RawQuery != "" {
		return target{exact: u}, nil
	}
	base := *u
	base.Path = strings.TrimSuffix(u.Path, "/")
	if !strings.HasSuffix(base.Path, "/debug/pprof") {
		base.Path += "/debug/pprof"
	}
	base.Path += "/"
	return target{base: &base}, nil
}

// page returns the address of an endpoint.
func (t target) page(e Endpoint) *url.URL {
	if t.exact != nil {
		return t.exact
	}
	u := *t.base
	switch e {
	case Trace:
		u.Path += "trace"
		u.RawQuery = "seconds=" + traceWindow
	case Dump:
		u.Path += "goroutine"
		u.RawQuery = "debug=2"
	default:
		u.Path += "goroutine"
	}
	return &u
}

// A Remote takes snapshots of one process and recognizes its goroutines from one
// to the next. It is not safe for concurrent use.
type Remote struct {
	Name string // the address, without a password

	reader  *Reader
	target  target
	parsers *parsers
	client  *http.Client
	noTrace error // why no more traces are asked for
}

// Remote returns the process at an address.
func (r *Reader) Remote(name string) (*Remote, error) {
	t, err := parseTarget(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	u := t.exact
	if u == nil {
		u = t.base
	}
	client, err := r.HTTP.client()
	if err != nil {
		return nil, err
	}
	return &Remote{Name: u.Redacted(), reader: r, target: t, parsers: newParsers(), client: client}, nil
}

// Forget starts afresh: the next snapshot is of another process at this address.
func (r *Remote) Forget() { r.parsers, r.noTrace = newParsers(), nil }

// Take takes a snapshot. It may return both a snapshot and an error that says
// what the snapshot lacks.
func (r *Remote) Take(ctx context.Context) (*goroutine.Snapshot, error) {
	e := r.reader.Endpoint
	if e != Auto && e != "" || r.target.exact != nil {
		return r.get(ctx, e)
	}
	if r.noTrace == nil && !r.reader.wantsLabels() {
		s, err := r.get(ctx, Trace)
		if err == nil || fatal(err) {
			return s, err
		}
		r.noTrace = err
		r.reader.note(fmt.Sprintf("%s: no trace, so there are no goroutine IDs and no ages: %v", r.Name, err))
	}
	return r.get(ctx, Profile)
}

// A statusError is a response with a status other than 200.
type statusError struct {
	status int
	text   string
}

func (e *statusError) Error() string { return e.text }

// fatal reports whether another page would fail for the same reason.
func fatal(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.status == http.StatusUnauthorized || status.status == http.StatusForbidden
	}
	var content *contentError
	return !errors.As(err, &content)
}

func (r *Remote) get(ctx context.Context, e Endpoint) (*goroutine.Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, r.reader.HTTP.Timeout)
	defer cancel()
	u := r.target.page(e)
	s, err := r.fetch(ctx, u)
	if err == nil {
		return s, nil
	}
	return s, fmt.Errorf("%s: %w", u.Redacted(), explain(err, r.reader.HTTP.Timeout))
}

func (r *Remote) fetch(ctx context.Context, u *url.URL) (*goroutine.Snapshot, error) {
	began := time.Now()
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
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, refused(response)
	}
	body := r.reader.watched(u.Redacted(), response.Body)
	defer body.done()
	s, err := r.parsers.read(body, time.Now(), r.reader.Labels, r.reader.Max)
	if s != nil {
		s.Time, s.Duration = time.Now(), time.Since(began)
	}
	if err == nil && path.Base(u.Path) == "trace" && s.Source != goroutine.SourceTrace {
		err = &contentError{parse.ErrNotTrace}
	}
	return s, err
}

// refused returns the error of a response without content for us.
func refused(response *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4<<10))
	text := response.Status
	line, _, _ := bytes.Cut(bytes.TrimSpace(body), []byte("\n"))
	if len(line) > 0 && len(line) < 200 && !isHTML(line) {
		text += ": " + strings.ToValidUTF8(string(line), "?")
	}
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		text += "; see --user and --header"
	case http.StatusNotFound:
		text += "; net/http/pprof is not served there"
	}
	return &statusError{response.StatusCode, text}
}

// talkedFirst is in the error of net/http if a server sends something before it
// gets the request, as those of SSH and SMTP do.
const talkedFirst = "readLoopPeekFail"

// explain returns an error that says in a few words what a network error means.
func explain(err error, timeout time.Duration) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err // without the address, which the caller names
	}
	var dns *net.DNSError
	var record tls.RecordHeaderError
	var verify *tls.CertificateVerificationError
	var op *net.OpError
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err):
		return fmt.Errorf("no complete response within %v (--timeout)", timeout)
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens on that port; is it the right one?", syscall.ECONNREFUSED)
	case errors.As(err, &dns):
		return fmt.Errorf("no such host %q", dns.Name)
	case errors.As(err, &record), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return errors.New("the server speaks plain HTTP; use http://")
	case errors.As(err, &verify):
		return fmt.Errorf("the server certificate is not trusted (--ca, --server-name, --insecure): %w", verify.Err)
	case errors.As(err, &op) && op.Op == "remote error": // an alert of TLS, before or after the handshake
		return fmt.Errorf("the server refused the TLS connection (--cert, --key): %w", op.Err)
	case strings.Contains(text, "malformed HTTP"), strings.Contains(text, talkedFirst):
		return errors.New("the server does not speak HTTP; is the port right?")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the response was cut off: %w", err)
	case request != nil && errors.Is(err, io.EOF):
		return errors.New("the connection was closed without a response; is the port right?")
	}
	return err
}
