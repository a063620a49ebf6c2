// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// Free chooses from ports below the range that systems use for outgoing
// connections. A port in that range could be taken by such a connection while a
// program is restarted, and a client that connects to a port in its own range
// can connect to itself.
const (
	firstPort = 20000
	ports     = 10000
)

// nextPort is where the next search of Free starts. It starts at a random port,
// so that two processes differ.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// Free returns an address on the loopback interface that was free a moment ago.
// It returns no address twice in the same process.
func Free() string {
	for range ports {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%ports)
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	return "127.0.0.1:0" // the program that tries to listen there will report the problem
}

// orFree returns addr or, if addr is empty, a free address.
func orFree(addr string) string {
	if addr != "" {
		return addr
	}
	return Free()
}

// Prefer returns addr if it is free, and otherwise another address.
func Prefer(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return Free()
	}
	defer l.Close()
	return addr
}
