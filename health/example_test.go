// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package health_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/otelgoroutine/go/health"
	"github.com/otelgoroutine/go/otelgoroutine"
)

// A service whose monitor could not be started is alive nevertheless.
func Example() {
	var monitor *otelgoroutine.Monitor // from otelgoroutine.Start
	mux := http.NewServeMux()
	mux.Handle("GET /livez", health.Handler(monitor, health.WithUnhealthyAfter(10*time.Minute)))

	server := httptest.NewServer(mux)
	defer server.Close()
	response, err := server.Client().Get(server.URL + "/livez")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	fmt.Printf("%d %s", response.StatusCode, body)
	// Output: 200 ok: cannot judge now: no monitor was started
}
