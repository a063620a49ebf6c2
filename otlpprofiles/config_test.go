// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/resource"
)

// set sets variables for one test.
func set(t *testing.T, variables map[string]string) {
	for name, value := range variables {
		t.Setenv("OTEL_EXPORTER_OTLP_"+name, value)
	}
}

func TestEndpoints(t *testing.T) {
	for _, tt := range []struct {
		variables map[string]string
		options   []Option
		want      string
	}{
		{nil, nil, "http://localhost:4318/v1development/profiles"},
		{nil, []Option{WithProtocol(ProtocolGRPC)}, "http://localhost:4317"},
		{map[string]string{"ENDPOINT": "https://collector:4318"}, nil, "https://collector:4318/v1development/profiles"},
		{map[string]string{"ENDPOINT": "https://collector/otlp/"}, nil, "https://collector/otlp/v1development/profiles"},
		{map[string]string{"ENDPOINT": "http://all", "PROFILES_ENDPOINT": "http://own/as/it/is"}, nil, "http://own/as/it/is"},
		{map[string]string{"ENDPOINT": "http://all"}, []Option{WithEndpointURL("http://option/path")}, "http://option/path"},
		{map[string]string{"ENDPOINT": "not valid"}, []Option{WithEndpointURL("http://option/path")}, "http://option/path"},
		{map[string]string{"PROTOCOL": "grpc", "ENDPOINT": "http://collector:4317"}, nil, "http://collector:4317"},
		{map[string]string{"PROTOCOL": "grpc", "ENDPOINT": "collector:4317"}, nil, "https://collector:4317"},
		{map[string]string{"PROTOCOL": "grpc", "ENDPOINT": "collector:4317", "INSECURE": "true"}, nil, "http://collector:4317"},
		{map[string]string{"ENDPOINT": "collector:4317", "PROFILES_INSECURE": "TRUE"}, []Option{WithProtocol(ProtocolGRPC)}, "http://collector:4317"},
		{map[string]string{"PROTOCOL": "grpc", "PROFILES_PROTOCOL": "http/protobuf", "ENDPOINT": " "}, nil, "http://localhost:4318/v1development/profiles"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			set(t, tt.variables)
			c, err := newConfig(tt.options)
			require.NoError(t, err)
			assert.Equal(t, tt.want, c.endpoint.String())
		})
	}
}

func TestVariables(t *testing.T) {
	set(t, map[string]string{
		"HEADERS": "all=1", "PROFILES_HEADERS": "api-key=a%20b%2C, x-scope =c=d,", "TIMEOUT": "2500", "COMPRESSION": "gzip",
	})
	c, err := newConfig([]Option{WithHeaders(map[string]string{"x-scope": "option"})})
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"api-key": "a b,", "x-scope": "option"}, c.headers)
	assert.Equal(t, 2500*time.Millisecond, c.timeout)
	assert.True(t, *c.gzip)

	c, err = newConfig([]Option{WithTimeout(time.Second), WithGzip(false)})
	require.NoError(t, err)
	assert.Equal(t, time.Second, c.timeout)
	assert.False(t, *c.gzip)
}

func TestDefaults(t *testing.T) {
	c, err := newConfig(nil)
	require.NoError(t, err)
	assert.Equal(t, ProtocolHTTP, c.protocol)
	assert.Equal(t, 10*time.Second, c.timeout)
	assert.False(t, *c.gzip)
	assert.Nil(t, c.tls)
	assert.True(t, c.resource.Set().HasValue("service.name"))

	own := resource.NewSchemaless(attribute.String("service.name", "shop"))
	c, err = newConfig([]Option{WithResource(own), WithTLSConfig(&tls.Config{ServerName: "x"})})
	require.NoError(t, err)
	assert.Equal(t, own, c.resource)
	assert.Equal(t, "x", c.tls.ServerName)
}

func TestMistakesInVariablesAreNamed(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, tt := range []struct{ name, value, says string }{
		{"PROTOCOL", "http/json", `OTEL_EXPORTER_OTLP_PROTOCOL: the protocol is "http/json"; it must be "http/protobuf" or "grpc"`},
		{"PROFILES_PROTOCOL", "x", `OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL: the protocol is "x"`},
		{"ENDPOINT", "collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT: the endpoint is"},
		{"ENDPOINT", "ftp://user:secret@collector", "must be a URL with http or https and a host"},
		{"ENDPOINT", "http://user:secret@a b", "OTEL_EXPORTER_OTLP_ENDPOINT: the endpoint is not a URL"},
		{"HEADERS", "api-key", "OTEL_EXPORTER_OTLP_HEADERS: header 1 is not valid"},
		{"HEADERS", "a=1,b=secret%zz", "header 2 is not valid"},
		{"HEADERS", "a b=secret", `"a b" is not the name of a header`},
		{"HEADERS", "a=secret%0a", `the value of header "a" is not valid`},
		{"TIMEOUT", "10s", "the timeout is \"10s\"; it must be a number of milliseconds, 100 to 300000"},
		{"TIMEOUT", "0", "it must be a number of milliseconds"},
		{"COMPRESSION", "zstd", `the compression is "zstd"; it must be gzip or none`},
		{"CERTIFICATE", "/none.pem", "OTEL_EXPORTER_OTLP_CERTIFICATE: open /none.pem"},
		{"CERTIFICATE", empty, "has no certificate in PEM format"},
		{"CLIENT_KEY", "/key.pem", "OTEL_EXPORTER_OTLP_CLIENT_KEY is set without OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"},
		{"CLIENT_CERTIFICATE", "/cert.pem", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is set without OTEL_EXPORTER_OTLP_CLIENT_KEY"},
	} {
		t.Run(tt.name+" "+tt.value, func(t *testing.T) {
			set(t, map[string]string{tt.name: tt.value})
			_, err := New(t.Context())
			require.ErrorContains(t, err, tt.says)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
	t.Run("INSECURE", func(t *testing.T) {
		set(t, map[string]string{"PROTOCOL": "grpc", "ENDPOINT": "collector:4317", "INSECURE": "yes"})
		_, err := New(t.Context())
		assert.ErrorContains(t, err, `OTEL_EXPORTER_OTLP_INSECURE is "yes"; it must be true or false`)
	})
	t.Run("client files", func(t *testing.T) {
		set(t, map[string]string{"CLIENT_CERTIFICATE": empty, "CLIENT_KEY": empty})
		_, err := New(t.Context())
		assert.ErrorContains(t, err, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and OTEL_EXPORTER_OTLP_CLIENT_KEY: ")
	})
}

func TestMistakesInOptionsAreNamed(t *testing.T) {
	for says, o := range map[string]Option{
		"option 0 is nil":                       nil,
		`WithProtocol("http/json")`:             WithProtocol("http/json"),
		"WithEndpointURL: the endpoint is":      WithEndpointURL("collector"),
		`WithHeaders: "a:b" is not the name`:    WithHeaders(map[string]string{"a:b": "secret"}),
		"WithTLSConfig(nil)":                    WithTLSConfig(nil),
		"WithTimeout(1ms): the time must be":    WithTimeout(time.Millisecond),
		"WithTimeout(1h0m0s): the time must be": WithTimeout(time.Hour),
		"WithResource(nil)":                     WithResource(nil),
	} {
		_, err := New(t.Context(), o)
		require.ErrorContains(t, err, says)
		assert.True(t, strings.HasPrefix(err.Error(), "otlpprofiles: "))
		assert.NotContains(t, err.Error(), "secret")
	}
}

// certificates writes the certificate of a server of httptest into a file.
func certificates(t *testing.T, s *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600))
	_, err := x509.ParseCertificate(s.Certificate().Raw)
	require.NoError(t, err)
	return file
}
