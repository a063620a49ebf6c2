// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package sockets reads what the kernel knows of the TCP sockets of this process.
//
// It asks for each of the process's descriptors with getsockopt(2), which changes
// nothing, and fails on what is not a TCP socket. Whatever a descriptor is closed
// and reused for in between, the calls are harmless. Nothing is opened but, for a
// moment, /proc/self/status, for the size of the descriptor table; without it the
// limit on open files bounds the search. The process's own descriptors need no privilege, and
// other processes are not seen, as they are in /proc/net/tcp and by
// sock_diag(7), which list all sockets of the network namespace.
//
// A reading is bounded by sockets, descriptors and time, and beyond that is a sample.
// Where there is no such kernel, or a filter refuses the call, it is an error that
// says so. A seccomp filter that kills a process for getsockopt(2) kills this one;
// package net itself calls it for each connection that a program makes.
//
// Connections of other protocols (UDP, and so QUIC; Unix sockets) are not seen. One TCP
// connection may carry many streams (HTTP/2).
package sockets
