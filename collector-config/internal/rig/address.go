package rig

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
)

// The ports that Free chooses from are below those that systems take for
// outgoing connections: one of these could have the port when a program that was
// stopped is started again, and a client that tries to reach a port of its own
// range can reach itself.
const (
	firstPort = 20000
	ports     = 10000
)

// nextPort is where Free goes on. Two processes begin at different ports.
var nextPort atomic.Uint32

func init() { nextPort.Store(rand.Uint32N(ports)) }

// Free returns an address on the loopback interface that was free a moment ago.
// It is never the same twice in a process.
func Free() string {
	for range ports {
		addr := fmt.Sprintf("127.0.0.1:%d", firstPort+nextPort.Add(1)%ports)
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	return "127.0.0.1:0" // the program that listens there will say why it cannot
}

// orFree returns addr, or, where that is empty, one that is free.
func orFree(addr string) string {
	if addr != "" {
		return addr
	}
	return Free()
}

// Prefer returns addr where it is free, and another one where it is not.
func Prefer(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return Free()
	}
	defer l.Close()
	return addr
}
