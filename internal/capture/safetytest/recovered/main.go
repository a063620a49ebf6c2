// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Recovered is a server with a handler that dereferences nil, which a middleware
// and package net/http recover from. When the stack of a goroutine grows after
// that, Go 1.26.0 to 1.26.5 leave a wrong frame pointer in it (golang/go#73664).
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
	server := httptest.NewUnstartedServer(logging(func(w http.ResponseWriter, _ *http.Request) {
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

// logging does something with a recovered panic that takes stack and blocks, as
// middlewares do.
func logging(handle http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				grow(100)
				panic(p)
			}
		}()
		handle(w, r)
	})
}

// grow takes at least depth times 128 bytes of stack, and blocks.
func grow(depth int) (sum int) {
	var room [16]int
	if depth > 0 {
		room[depth%16] = grow(depth - 1)
		return room[(depth+1)%16]
	}
	done := make(chan bool)
	go func() { done <- true }()
	<-done
	return 0
}
