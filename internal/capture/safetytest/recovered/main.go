// Recovered is a server with a handler that dereferences nil, which package
// net/http recovers from. Go 1.26.0 to 1.26.5 leave a wrong frame pointer behind
// (golang/go#73664).
package main

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/otelgoroutine/go/internal/capture/safetytest/observe"
)

type account struct{ name string }

func main() {
	var none *account
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, none.name)
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	defer server.Close()
	observe.Beside(func() {
		if resp, err := http.Get(server.URL); err == nil {
			resp.Body.Close()
		}
	})
}
