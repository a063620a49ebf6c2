package rig

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
)

// maxLogs bounds what is read of one request, in bytes.
const maxLogs = 64 << 20

// LogsHandler takes logs by OTLP over HTTP, as stores for logs do. take may be
// called from several goroutines at once.
func LogsHandler(take func(plog.Logs)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logs, err := decode(r)
		if err != nil || r.URL.Path != "/v1/logs" {
			http.Error(w, fmt.Sprintf("%s: want logs in OTLP at /v1/logs: %v", r.URL.Path, err), http.StatusBadRequest)
			return
		}
		take(logs)
	})
}

func decode(r *http.Request) (plog.Logs, error) {
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzip, err := gzip.NewReader(from)
		if err != nil {
			return plog.Logs{}, err
		}
		from = unzip
	}
	body, err := io.ReadAll(io.LimitReader(from, maxLogs))
	if err != nil {
		return plog.Logs{}, err
	}
	request := plogotlp.NewExportRequest()
	err = request.UnmarshalProto(body)
	return request.Logs(), err
}
