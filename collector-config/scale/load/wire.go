// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"net"
	"sync/atomic"
)

// Wire counts the bytes of connections, without those of TCP and IP.
type Wire struct{ read, written atomic.Int64 }

// Read returns how many bytes were read.
func (w *Wire) Read() int64 { return w.read.Load() }

// Written returns how many bytes were written.
func (w *Wire) Written() int64 { return w.written.Load() }

// Conn returns c, whose bytes are counted.
func (w *Wire) Conn(c net.Conn) net.Conn { return &countedConn{c, w} }

type countedConn struct {
	net.Conn
	wire *Wire
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.wire.read.Add(int64(n))
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.wire.written.Add(int64(n))
	return n, err
}

// countedListener counts the bytes of the connections that it accepts.
type countedListener struct {
	net.Listener
	wire *Wire
}

func (l countedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wire.Conn(c), nil
}
