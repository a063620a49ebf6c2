// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// A variable is one of the environment, as the specification of OTLP exporters names it.
type variable struct {
	name  string               // without its prefix
	given func(c *config) bool // by an option: then the variable does not count
	apply func(c *config, value string, own bool) error
}

const (
	prefix    = "OTEL_EXPORTER_OTLP_"
	ownPrefix = prefix + "PROFILES_" // goes before prefix
)

// variables are in the order in which they are read: an endpoint without a scheme needs
// to know the protocol and INSECURE.
var variables = []variable{
	{"PROTOCOL", func(c *config) bool { return c.protocol != "" }, setProtocol},
	{"ENDPOINT", func(c *config) bool { return c.endpoint != nil }, setEndpoint},
	{"HEADERS", func(*config) bool { return false }, setHeaders},
	{"TIMEOUT", func(c *config) bool { return c.timeout != 0 }, setTimeout},
	{"COMPRESSION", func(c *config) bool { return c.gzip != nil }, setCompression},
}

// environment reads the variables, after the options: those set the protocol that an
// endpoint is for.
func (c *config) environment() {
	for _, v := range variables {
		if name, value := lookup(v.name); value != "" && !v.given(c) {
			if err := v.apply(c, value, strings.HasPrefix(name, ownPrefix)); err != nil {
				c.refuse("%s: %w", name, err)
			}
		}
	}
	if c.tls == nil {
		c.certificates()
	}
}

// certificates reads the files for TLS.
func (c *config) certificates() {
	if name, file := lookup("CERTIFICATE"); file != "" {
		if err := c.setCertificate(file); err != nil {
			c.refuse("%s: %w", name, err)
		}
	}
	if err := c.clientCertificate(); err != nil {
		c.refuse("%w", err)
	}
}

// lookup returns the value of a variable, and which one it is of. One that is empty counts
// as not set.
func lookup(name string) (full, value string) {
	for _, full = range []string{ownPrefix + name, prefix + name} {
		if value = strings.TrimSpace(os.Getenv(full)); value != "" {
			return full, value
		}
	}
	return full, ""
}

func setProtocol(c *config, value string, _ bool) error {
	switch p := Protocol(value); p {
	case ProtocolHTTP, ProtocolGRPC:
		c.protocol = p
		return nil
	}
	return fmt.Errorf("the protocol is %q; it must be %q or %q", value, ProtocolHTTP, ProtocolGRPC)
}

// setEndpoint takes the variable of the signal as it is; to that of all signals, the path
// of the signal is added.
func setEndpoint(c *config, value string, own bool) error {
	if c.protocol == ProtocolGRPC && !strings.Contains(value, "://") {
		scheme, err := schemeOf()
		if err != nil {
			return err
		}
		value = scheme + "://" + value
	}
	u, err := parseEndpoint(value)
	if err != nil {
		return err
	}
	if !own && c.protocol != ProtocolGRPC {
		u = u.JoinPath(path)
	}
	c.endpoint = u
	return nil
}

// schemeOf returns the scheme of an endpoint of gRPC without one, as INSECURE says.
func schemeOf() (string, error) {
	name, value := lookup("INSECURE")
	switch strings.ToLower(value) {
	case "true":
		return "http", nil
	case "false", "":
		return "https", nil
	}
	return "", fmt.Errorf("%s is %q; it must be true or false", name, value)
}

func parseEndpoint(value string) (*url.URL, error) {
	u, err := url.Parse(value)
	if err != nil {
		var why *url.Error
		if errors.As(err, &why) {
			err = why.Err // without the URL, which may have a password
		}
		return nil, fmt.Errorf("the endpoint is not a URL: %w", err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, fmt.Errorf("the endpoint is %q; it must be a URL with http or https and a host, such as http://collector:4318", u.Redacted())
	}
	return u, nil
}

// setHeaders reads headers in the form of W3C Baggage: name=value,name=value, with values
// as in URLs.
func setHeaders(c *config, value string, _ bool) error {
	for i, part := range strings.Split(value, ",") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		name, encoded, ok := strings.Cut(part, "=")
		text, err := url.PathUnescape(strings.TrimSpace(encoded))
		if !ok || err != nil {
			return fmt.Errorf("header %d is not valid; headers must be name=value,name=value, with values as in URLs (a comma is %%2C)", i+1)
		}
		name = strings.TrimSpace(name)
		if err := checkHeader(name, text); err != nil {
			return err
		}
		if _, given := c.headers[name]; !given {
			c.headers[name] = text
		}
	}
	return nil
}

// checkHeader refuses what HTTP has no room for. A value is in no error.
func checkHeader(name, value string) error {
	if !httpguts.ValidHeaderFieldName(name) {
		return fmt.Errorf("%q is not the name of a header; it must be letters, digits and any of !#$%%&'*+-.^_`|~", name)
	}
	if !httpguts.ValidHeaderFieldValue(value) {
		return fmt.Errorf("the value of header %q is not valid; it must have no control characters", name)
	}
	return nil
}

func setTimeout(c *config, value string, _ bool) error {
	ms, err := strconv.ParseInt(value, 10, 32)
	if err != nil || ms < MinTimeout.Milliseconds() || ms > MaxTimeout.Milliseconds() {
		return fmt.Errorf("the timeout is %q; it must be a number of milliseconds, %d to %d", value, MinTimeout.Milliseconds(), MaxTimeout.Milliseconds())
	}
	c.timeout = time.Duration(ms) * time.Millisecond
	return nil
}

func setCompression(c *config, value string, _ bool) error {
	switch value {
	case "gzip", "none":
		on := value == "gzip"
		c.gzip = &on
		return nil
	}
	return fmt.Errorf("the compression is %q; it must be gzip or none", value)
}

func (c *config) setCertificate(file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate in PEM format", file)
	}
	c.trust().RootCAs = roots
	return nil
}

// clientCertificate reads the certificate and the key for mutual TLS.
func (c *config) clientCertificate() error {
	certName, cert := lookup("CLIENT_CERTIFICATE")
	keyName, key := lookup("CLIENT_KEY")
	switch {
	case cert == "" && key == "":
		return nil
	case cert == "":
		return fmt.Errorf("%s is set without %s; mutual TLS needs both", keyName, certName)
	case key == "":
		return fmt.Errorf("%s is set without %s; mutual TLS needs both", certName, keyName)
	}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", certName, keyName, err)
	}
	c.trust().Certificates = []tls.Certificate{pair}
	return nil
}

func (c *config) trust() *tls.Config {
	if c.tls == nil {
		c.tls = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return c.tls
}
