// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// natsServer is nats-server with JetStream off, and clients of nats.go with a
// subscription each.
var natsServer = server{"nats", serveNATS, natsClients}

func serveNATS(c clock) (string, error) {
	s, err := natsd.NewServer(&natsd.Options{Host: "127.0.0.1", Port: natsd.RANDOM_PORT, NoLog: true, NoSigs: true, PingInterval: c.dur(2 * time.Minute)})
	if err != nil {
		return "", err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return "", errors.New("the NATS server does not start")
	}
	return s.ClientURL(), nil
}

func natsClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		conn, err := nats.Connect(address, nats.PingInterval(c.dur(2*time.Minute)), nats.Timeout(time.Minute))
		if err != nil {
			return err
		}
		defer conn.Close()
		if _, err := conn.Subscribe("news.*", func(*nats.Msg) {}); err != nil {
			return err
		}
		return use(ctx, c, func() error { return conn.Publish("news.today", []byte("hello")) })
	}, nil
}
