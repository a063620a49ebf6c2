// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlpprofiles

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	collectorpb "go.opentelemetry.io/proto/otlp/collector/profiles/v1development"
	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/otelgoroutine/go/otelgoroutine"
)

// maxResponse is how many bytes of a response are read.
const maxResponse = 64 << 10

const contentType = "application/x-protobuf"

// httpClient sends requests of OTLP over HTTP.
type httpClient struct {
	*http.Client
	url     string
	headers map[string]string
	gzip    bool
}

func newHTTPClient(c *config) *httpClient {
	return &httpClient{
		Client: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				TLSClientConfig:     c.tls,
				ForceAttemptHTTP2:   true,
				MaxIdleConns:        1,
				IdleConnTimeout:     90 * time.Second,
				TLSHandshakeTimeout: c.timeout,
			},
			// A redirect would carry the headers to another host.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		url:     c.endpoint.String(),
		headers: c.headers,
		gzip:    *c.gzip,
	}
}

func (c *httpClient) send(ctx context.Context, message *collectorpb.ExportProfilesServiceRequest) (*collectorpb.ExportProfilesServiceResponse, error) {
	request, err := c.request(ctx, message)
	if err != nil {
		return nil, err
	}
	response, err := c.Do(request)
	if err != nil {
		return nil, &retryable{error: err}
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	if response.StatusCode/100 != 2 {
		return nil, refusal(response, body)
	}
	if err != nil {
		return nil, &retryable{error: fmt.Errorf("reading the response: %w", err)}
	}
	// What is not a message of OTLP comes from something in between; the status counts.
	answer := new(collectorpb.ExportProfilesServiceResponse)
	if response.Header.Get("Content-Type") == contentType && proto.Unmarshal(body, answer) != nil {
		answer.Reset()
	}
	return answer, nil
}

func (c *httpClient) request(ctx context.Context, message *collectorpb.ExportProfilesServiceRequest) (*http.Request, error) {
	body, err := proto.Marshal(message)
	if err != nil {
		return nil, err
	}
	if c.gzip {
		body = compressed(body)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	for name, value := range c.headers {
		request.Header.Set(name, value)
	}
	request.Header.Set("Content-Type", contentType)
	if c.gzip {
		request.Header.Set("Content-Encoding", "gzip")
	}
	return request, nil
}

const userAgent = "otelgoroutine-otlpprofiles/" + otelgoroutine.Version

func compressed(body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(body) // to memory: cannot fail
	z.Close()
	return b.Bytes()
}

// refusal returns what a status means that is not a success.
func refusal(response *http.Response, body []byte) error {
	err := fmt.Errorf("HTTP status %s%s", response.Status, said(response, body))
	switch response.StatusCode {
	case http.StatusNotFound:
		return withoutService(err)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return &retryable{error: err, after: retryAfter(response.Header.Get("Retry-After"))}
	}
	return err
}

// said returns the message in a response, which is a Status of gRPC.
func said(response *http.Response, body []byte) string {
	var status statuspb.Status
	if response.Header.Get("Content-Type") != contentType || proto.Unmarshal(body, &status) != nil || status.Message == "" {
		return ""
	}
	return fmt.Sprintf(": %q", clip(status.Message))
}

// retryAfter returns how long to wait: a number of seconds or a date.
func retryAfter(value string) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}

func (c *httpClient) close() error {
	c.CloseIdleConnections()
	return nil
}
