// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
	mqttd "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
)

// mqttBroker is a mochi-mqtt broker, and paho clients that subscribe and publish.
// Their pings come every ten seconds of the machine, because the protocol knows
// whole seconds, and a broker gives up on a client that is half as late again.
var mqttBroker = server{"mqtt", serveMQTT, mqttClients}

func serveMQTT(clock) (string, error) {
	s := mqttd.New(&mqttd.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	l := listeners.NewTCP(listeners.Config{ID: "tcp", Address: "127.0.0.1:0"})
	err := errors.Join(s.AddHook(new(auth.AllowHook), nil), s.AddListener(l), s.Serve())
	return l.Address(), err
}

func mqttClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		o := mqtt.NewClientOptions().AddBroker("tcp://" + address).SetKeepAlive(10 * time.Second).
			SetClientID(fmt.Sprintf("client-%d", rand.Uint64()))
		client := mqtt.NewClient(o)
		if err := await(client.Connect()); err != nil {
			return err
		}
		defer client.Disconnect(0)
		own := fmt.Sprintf("news/%d", rand.Uint64())
		if err := await(client.Subscribe(own, 1, func(mqtt.Client, mqtt.Message) {})); err != nil {
			return err
		}
		return use(ctx, c, func() error { return await(client.Publish(own, 1, false, "hello")) })
	}, nil
}

// await waits for what the broker has to say to a request.
func await(t mqtt.Token) error {
	if !t.WaitTimeout(time.Minute) {
		return errors.New("the broker does not answer")
	}
	return t.Error()
}
