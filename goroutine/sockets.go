// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import "time"

// A SocketState is the state of a TCP socket, named as in the values of the
// attribute network.connection.state of OpenTelemetry's semantic conventions.
type SocketState string

// The states of sockets that detectors distinguish. There are others.
const (
	SocketEstablished SocketState = "established"
	SocketCloseWait   SocketState = "close_wait" // the peer sends no more; this process has not closed
	SocketClosed      SocketState = "closed"     // not connected, or no longer: see [Socket.Gone]
	SocketListen      SocketState = "listen"
)

// Sockets is what the kernel knows of the TCP sockets of this process.
type Sockets struct {
	Time time.Time // when they were read

	// Share is the share of the process's descriptors that were examined, above 0
	// and at most 1. It is below 1 in a process with thousands of them; those that were
	// examined are then a sample, the same ones each time as far as they exist.
	Share float64

	All []Socket // of those that were examined

	// Others is how many sockets of other protocols there are among those that were
	// examined, such as Unix sockets.
	Others int
}

// A Socket is a TCP socket of this process that has an open descriptor.
type Socket struct {
	State SocketState

	// Received and Sent are how long ago the last data came from the peer and went to
	// it, or the connection was made if none did. Answered is how long ago the peer's
	// kernel confirmed anything, as it does for the keep-alive probes that package
	// net sends every 15 s. They are 0 unless the socket is or was connected.
	Received, Sent, Answered time.Duration

	// Unread says that something that the peer sent, at least its end, was not read.
	Unread bool

	// Gone says that the peer will send no more and the program has not closed
	// the socket: the peer has closed its side ([SocketCloseWait]), or the connection
	// was reset or has timed out. A peer that has closed only its side may still read.
	Gone bool

	// Since is when it was first seen to be so; zero unless Gone.
	Since time.Time
}

// GoneFor returns how many sockets were Gone for at least an age. Sockets are seen
// to be so when they are read, so that their age is a lower bound.
func (s *Sockets) GoneFor(age time.Duration) (n int) {
	for i := range s.All {
		if s.All[i].Gone && s.Time.Sub(s.All[i].Since) >= age {
			n++
		}
	}
	return n
}

// SilentFor returns how many connections that both sides keep open had no data from
// the peer for at least an age.
func (s *Sockets) SilentFor(age time.Duration) (n int) {
	for i := range s.All {
		if s.All[i].State == SocketEstablished && s.All[i].Received >= age {
			n++
		}
	}
	return n
}

// Open returns how many connections may be open on both sides: those of TCP that are
// established, and all sockets of other protocols.
func (s *Sockets) Open() int {
	n := s.Others
	for i := range s.All {
		if s.All[i].State == SocketEstablished {
			n++
		}
	}
	return n
}

// Estimate returns how many sockets the process has if n were found among those that
// were examined.
func (s *Sockets) Estimate(n int) int {
	if s.Share <= 0 {
		return n
	}
	return int(float64(n)/s.Share + 0.5)
}
