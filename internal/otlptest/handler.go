// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package otlptest

import (
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"

	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// maxBody is the maximum size of one HTTP request's body that is read, in bytes
// after decompression.
const maxBody = 20 << 20

// Handler serves OTLP/HTTP in its protobuf encoding at /v1/metrics and /v1/logs,
// with or without gzip. Requests may be up to 20 MiB, as in the Collector.
func Handler(sinks ...Sink) http.Handler {
	mux := http.NewServeMux()
	metrics, logs := metricsService{sinks: sinks}, logsService{sinks: sinks}
	mux.HandleFunc("POST /v1/metrics", func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, pmetricotlp.NewExportRequest(), metrics.Export)
	})
	mux.HandleFunc("POST /v1/logs", func(w http.ResponseWriter, r *http.Request) {
		serve(w, r, plogotlp.NewExportRequest(), logs.Export)
	})
	return mux
}

// serve answers one HTTP request, using the method that answers it over gRPC.
func serve[Request interface{ UnmarshalProto([]byte) error }, Response interface{ MarshalProto() ([]byte, error) }](
	w http.ResponseWriter, r *http.Request, req Request, export func(context.Context, Request) (Response, error),
) {
	body, err := read(r)
	if err == nil {
		err = req.UnmarshalProto(body)
	}
	if err != nil {
		http.Error(w, fmt.Sprintf("%s: not OTLP in protobuf: %v", r.URL.Path, err), http.StatusBadRequest)
		return
	}
	res, err := export(r.Context(), req)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer, err := res.MarshalProto()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
	_, _ = w.Write(answer)
}

func read(r *http.Request) ([]byte, error) {
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return nil, err
		}
		from = unzip
	}
	body, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	if len(body) > maxBody {
		return nil, fmt.Errorf("more than %d bytes", maxBody)
	}
	return body, err
}
