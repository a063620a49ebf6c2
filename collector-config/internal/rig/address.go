package rig

import "net"

// orFree returns addr, or, where that is empty, one on the loopback interface
// that was free a moment ago.
func orFree(addr string) string {
	if addr != "" {
		return addr
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "127.0.0.1:0" // whoever listens there will say why it cannot
	}
	defer l.Close()
	return l.Addr().String()
}

// Prefer returns addr where it is free, and another one where it is not.
func Prefer(addr string) string {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return orFree("")
	}
	defer l.Close()
	return l.Addr().String()
}
