// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/pprof"

	sdkmetric "go.opentelemetry.io/otel/sdk/metric"

	"github.com/otelgoroutine/go/debugpage"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// Mount the page next to net/http/pprof, on a mux for operators.
func ExampleHandler() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	admin := http.NewServeMux()
	admin.Handle("/debug/goroutines/", debugpage.Handler(monitor, debugpage.WithName("checkout")))
	admin.HandleFunc("/debug/pprof/", pprof.Index)

	// A service would call http.ListenAndServe("127.0.0.1:6060", admin) here.
	w := httptest.NewRecorder()
	admin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost:6060/debug/goroutines/", nil))
	fmt.Println(w.Code, w.Header().Get("Content-Type"))
	// Output: 200 text/html; charset=utf-8
}

// In a service with a single mux, the middleware that protects net/http/pprof
// also protects the page.
func ExampleHandler_protected() {
	monitor, err := otelgoroutine.Start(sdkmetric.NewMeterProvider())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer monitor.Shutdown(context.Background())

	operatorsOnly := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, password, _ := r.BasicAuth(); password != "from a secret store" {
				http.Error(w, "operators only", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/debug/goroutines/", operatorsOnly(debugpage.Handler(monitor)))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost:6060/debug/goroutines/data.json", nil))
	fmt.Println(w.Code)
	// Output: 401
}
