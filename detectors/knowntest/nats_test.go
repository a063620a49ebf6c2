// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
)

func serveNATS(t *testing.T) string {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	require.NoError(t, err)
	go s.Start()
	t.Cleanup(s.Shutdown)
	require.True(t, s.ReadyForConnections(10*time.Second))
	return s.Addr().String()
}

// dialNATS makes a client that lasts until the test is over, and uses it once.
func dialNATS(t *testing.T, address string) *nats.Conn {
	c, err := nats.Connect("nats://" + address)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, c.Flush())
	return c
}

// subscribeNATS subscribes until the test is over.
func subscribeNATS(t *testing.T, c *nats.Conn, topic string) {
	_, err := c.Subscribe(topic, func(*nats.Msg) {})
	require.NoError(t, err)
	require.NoError(t, c.Flush())
}

// wireNATS is a client as a server sees it, without a goroutine of its own.
func wireNATS(t *testing.T, address string) {
	c := dial(t, address)
	_, err := io.WriteString(c, "CONNECT {\"verbose\":false}\r\nSUB topic 1\r\nPING\r\n")
	require.NoError(t, err)
	for r := bufio.NewReader(c); ; {
		line, err := r.ReadString('\n')
		require.NoError(t, err)
		if strings.HasPrefix(line, "PONG") {
			return
		}
	}
}
