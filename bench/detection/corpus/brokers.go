package corpus

import (
	"errors"
	"io"
	"log/slog"
	"time"

	mqttserver "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/nats-io/nats-server/v2/server"
)

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

// publishNATS publishes news at an interval; 0 is never.
func publishNATS(address string, every time.Duration) error {
	if every == 0 {
		return nil
	}
	c, err := connectNATS(address)
	if err == nil {
		go everyTick(every, func() { _ = c.Publish("news", []byte("hello")) })
	}
	return err
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
