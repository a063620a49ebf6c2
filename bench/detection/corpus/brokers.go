// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/alicebob/miniredis/v2"
	mqttserver "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/nats-io/nats-server/v2/server"
)

// brokers start a server that listens by itself and return its address. It sends
// news at an interval; 0 is never.
var brokers = map[string]func(tick time.Duration) (address string, err error){
	"redis": func(time.Duration) (string, error) {
		m, err := miniredis.Run()
		if err != nil {
			return "", err
		}
		return m.Addr(), nil
	},
	"nats": func(tick time.Duration) (string, error) {
		address, err := newNATS()
		if err != nil || tick == 0 {
			return address, err
		}
		c, err := connectNATS(address)
		if err == nil {
			go everyTick(tick, func() { _ = c.Publish("news", []byte("hello")) })
		}
		return address, err
	},
	"mqtt": func(tick time.Duration) (string, error) {
		b, address, err := newMQTT()
		if err == nil && tick > 0 {
			go everyTick(tick, func() { _ = b.Publish("news", []byte("hello"), false, 0) })
		}
		return address, err
	},
}

// newNATS starts a NATS server and returns its address.
func newNATS() (address string, err error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		return "", err
	}
	s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		return "", errors.New("the NATS server does not start")
	}
	return s.Addr().String(), nil
}

// newMQTT starts an MQTT broker and returns its address.
func newMQTT() (b *mqttserver.Server, address string, err error) {
	b = mqttserver.New(&mqttserver.Options{InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	if err := errors.Join(b.AddHook(new(auth.AllowHook), nil), b.AddListener(l), b.Serve()); err != nil {
		return nil, "", err
	}
	return b, l.Address(), nil
}

// everyTick calls f at an interval, for ever.
func everyTick(d time.Duration, f func()) {
	for range time.Tick(d) {
		f()
	}
}
