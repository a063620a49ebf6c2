// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386 && !s390x

package sockets

import (
	"fmt"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

var start = time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC)

// everything are bounds that a test process does not reach.
var everything = bounds{maxSockets, maxDescriptors, time.Minute}

// connect returns both ends of a TCP connection of this process.
func connect(t testing.TB) (client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	s, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); s.Close() })
	return c.(*net.TCPConn), s.(*net.TCPConn)
}

// of returns what a reader tells of the sockets of a process.
func of(t testing.TB, r *Reader, now time.Time) *goroutine.Sockets {
	t.Helper()
	s, err := r.read(now, everything)
	require.NoError(t, err)
	require.Equal(t, 1.0, s.Share)
	return s
}

// eventually waits for what the other end's kernel does.
func eventually(t testing.TB, r *Reader, now time.Time, holds func(*goroutine.Sockets) bool) *goroutine.Sockets {
	t.Helper()
	var s *goroutine.Sockets
	require.Eventually(t, func() bool { s = of(t, r, now); return holds(s) }, time.Minute, time.Millisecond)
	return s
}

func count(s *goroutine.Sockets, is func(*goroutine.Socket) bool) (n int) {
	for i := range s.All {
		if is(&s.All[i]) {
			n++
		}
	}
	return n
}

func established(s *goroutine.Socket) bool { return s.State == goroutine.SocketEstablished }
func gone(s *goroutine.Socket) bool        { return s.Gone }

func TestAPeerThatHasClosedIsGoneUntilWeClose(t *testing.T) {
	var r Reader
	client, server := connect(t)
	assert.Equal(t, 2, count(of(t, &r, start), established), "both ends are of this process")
	assert.Zero(t, count(of(t, &r, start), gone), "the twin: a client that stays")

	require.NoError(t, client.Close())
	s := eventually(t, &r, start.Add(time.Minute), func(s *goroutine.Sockets) bool { return count(s, gone) == 1 })
	assert.Zero(t, s.GoneFor(time.Second), "it has just gone")
	s = of(t, &r, start.Add(5*time.Minute))
	assert.Equal(t, 1, s.GoneFor(4*time.Minute))
	assert.Zero(t, s.GoneFor(5*time.Minute))
	assert.Equal(t, 1, count(s, func(s *goroutine.Socket) bool {
		return s.State == goroutine.SocketCloseWait && s.Unread && s.Since.Equal(start.Add(time.Minute))
	}), "its end is unread")

	n, err := server.Read(make([]byte, 1))
	assert.Zero(t, n)
	assert.Error(t, err)
	s = of(t, &r, start.Add(6*time.Minute))
	assert.Equal(t, 1, count(s, func(s *goroutine.Socket) bool { return s.Gone && !s.Unread }))
	require.NoError(t, server.Close())
	assert.Zero(t, count(of(t, &r, start.Add(7*time.Minute)), gone))
	assert.Empty(t, r.gone, "nothing is remembered of it")
}

func TestADescriptorThatIsReusedIsAnotherSocket(t *testing.T) {
	var r Reader
	client, server := connect(t)
	require.NoError(t, client.Close())
	eventually(t, &r, start, func(s *goroutine.Sockets) bool { return count(s, gone) == 1 })
	require.NoError(t, server.Close())
	client, _ = connect(t) // gets the same descriptors
	require.NoError(t, client.Close())
	s := eventually(t, &r, start.Add(time.Hour), func(s *goroutine.Sockets) bool { return count(s, gone) == 1 })
	assert.Zero(t, s.GoneFor(time.Minute))
}

func TestAConnectionThatWasResetIsGone(t *testing.T) {
	var r Reader
	client, server := connect(t)
	require.NoError(t, client.SetLinger(0))
	require.NoError(t, client.Close())
	s := eventually(t, &r, start, func(s *goroutine.Sockets) bool { return count(s, gone) == 1 })
	assert.Equal(t, 1, count(s, func(s *goroutine.Socket) bool { return s.Gone && s.State == goroutine.SocketClosed }))
	require.NoError(t, server.Close())
	assert.Zero(t, count(of(t, &r, start), gone))
}

func TestASocketThatIsNotConnectedYetIsNotGone(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(fd)
	s := of(t, new(Reader), start)
	assert.Equal(t, 1, count(s, func(s *goroutine.Socket) bool { return s.State == goroutine.SocketClosed }))
	assert.Zero(t, count(s, gone))
}

func TestWhatIsUnreadAndHowLongPeersAreSilent(t *testing.T) {
	var r Reader
	client, server := connect(t)
	unread := func(s *goroutine.Socket) bool { return s.Unread }
	assert.Zero(t, count(of(t, &r, start), unread))
	_, err := client.Write([]byte("hello"))
	require.NoError(t, err)
	eventually(t, &r, start, func(s *goroutine.Sockets) bool { return count(s, unread) == 1 })
	_, err = server.Read(make([]byte, 5))
	require.NoError(t, err)
	assert.Zero(t, count(of(t, &r, start), unread))
	eventually(t, &r, start, func(s *goroutine.Sockets) bool { return s.SilentFor(20*time.Millisecond) == 2 })
	assert.Zero(t, of(t, &r, start).SilentFor(time.Hour))
}

func TestOtherDescriptorsAreNotSockets(t *testing.T) {
	before := of(t, new(Reader), start).Others
	pr, pw, err := os.Pipe()
	require.NoError(t, err)
	defer pr.Close()
	defer pw.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer u.Close()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(pair[0])
	defer syscall.Close(pair[1])
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	s := of(t, new(Reader), start)
	assert.Len(t, s.All, 1)
	assert.Equal(t, goroutine.SocketListen, s.All[0].State)
	assert.Equal(t, before+3, s.Others, "one of UDP, two of Unix")
}

// TestAReadingIsBoundedAndLeavesNothingOpen has more sockets than a reading covers.
func TestAReadingIsBoundedAndLeavesNothingOpen(t *testing.T) {
	for range 60 {
		connect(t)
	}
	before := highest(t)
	var r Reader
	s, err := r.read(start, bounds{sockets: 20, descriptors: maxDescriptors, time: time.Minute})
	require.NoError(t, err)
	assert.Len(t, s.All, 20)
	assert.Less(t, s.Share, 1.0)
	assert.InDelta(t, 120, s.Estimate(count(s, established)), 60)
	s, err = r.read(start, bounds{maxSockets, 30, time.Minute})
	require.NoError(t, err)
	assert.LessOrEqual(t, len(s.All), 30)
	s, err = r.read(start, bounds{maxSockets, maxDescriptors, 0})
	require.NoError(t, err)
	assert.Greater(t, s.Share, 0.0, "it begins before it reads the clock")
	assert.Less(t, s.Share, 1.0)
	assert.Equal(t, before, highest(t))
}

// highest returns the lowest free descriptor.
func highest(t *testing.T) int {
	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Close(fd))
	return fd
}

func TestTheSizeOfTheTable(t *testing.T) {
	assert.Equal(t, 256, sizeIn([]byte("Name:\tx\nFDSize:\t256\nGroups:\t0\n")))
	for _, s := range []string{"", "FDSize:\t256\n", "Name:\tx\nFDSize:\t\n", "Name:\tx\nFDSize:\t0\n", "Name:\tx\nFDS"} {
		assert.Zero(t, sizeIn([]byte(s)), "%q", s)
	}
	assert.Greater(t, tableSize(), highest(t))
}

func BenchmarkRead(b *testing.B) {
	for _, n := range []int{0, 100, 1000} {
		b.Run(fmt.Sprintf("connections=%d", n), func(b *testing.B) {
			for range n / 2 {
				connect(b)
			}
			var r Reader
			b.ReportAllocs()
			for b.Loop() {
				if _, err := r.read(start, everything); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
