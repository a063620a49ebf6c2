// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	_ "github.com/caddyserver/caddy/v2/modules/logging"
)

// caddyServer is caddy as a reverse proxy of a service in the same process; each
// client keeps a connection.
var caddyServer = server{"caddy", serveCaddy, caddyClients}

const caddyConfig = `{
	"admin": {"disabled": true},
	"logging": {"logs": {"default": {"writer": {"output": "discard"}}}},
	"apps": {"http": {"servers": {"front": {
		"listen": [%q],
		"automatic_https": {"disable": true},
		"routes": [{"handle": [{"handler": "reverse_proxy", "upstreams": [{"dial": %q}]}]}]
	}}}}
}`

func serveCaddy(clock) (string, error) {
	behind, err := listen()
	if err != nil {
		return "", err
	}
	go http.Serve(behind, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	front, err := listen() // caddy does not tell which port it got
	if err != nil {
		return "", err
	}
	address := front.Addr().String()
	front.Close()
	return "http://" + address, caddy.Load(fmt.Appendf(nil, caddyConfig, address, behind.Addr().String()), false)
}

func caddyClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: transport}
		return use(ctx, c, func() error { return get(ctx, client, address) })
	}, nil
}

// get asks for an answer and reads it.
func get(ctx context.Context, client *http.Client, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return err
}
