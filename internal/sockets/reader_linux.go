// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build linux && !386 && !s390x

package sockets

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"github.com/otelgoroutine/go/goroutine"
)

// Of getsockopt(2), the same on all architectures that Go has.
const (
	optMemory = 55 // SO_MEMINFO
	optCookie = 57 // SO_COOKIE
)

// info is the beginning of struct tcp_info of linux/tcp.h. Kernels add fields at its
// end and tell how many bytes they know.
type info struct {
	state        uint8
	_            [43]byte
	lastDataSent uint32 // ms, as the next three
	_            uint32 // last ACK sent: never set
	lastDataRecv uint32
	lastAckRecv  uint32
	_            [80]byte
	segmentsIn   uint32 // since Linux 4.2
}

// states are those of net/tcp_states.h.
var states = [...]goroutine.SocketState{
	1: goroutine.SocketEstablished, 2: "syn_sent", 3: "syn_received", 4: "fin_wait_1", 5: "fin_wait_2", 6: "time_wait",
	7: goroutine.SocketClosed, 8: goroutine.SocketCloseWait, 9: "last_ack", 10: goroutine.SocketListen, 11: "closing", 12: "syn_received",
}

func (i *info) socketState() goroutine.SocketState {
	if int(i.state) < len(states) {
		return states[i.state]
	}
	return ""
}

// gone reports whether the peer will send no more. A closed socket that has never
// received a segment was not connected yet.
func (i *info) gone() bool {
	s := i.socketState()
	return s == goroutine.SocketCloseWait || s == goroutine.SocketClosed && i.segmentsIn > 0
}

func (r *Reader) read(now time.Time, b bounds) (*goroutine.Sockets, error) {
	limit := tableSize()
	if limit <= 0 {
		return nil, errors.New("the size of the table of open files is not known")
	}
	s := &goroutine.Sockets{Time: now}
	gone := make(map[uint64]time.Time)
	visited, w, begin := 0, newWalk(limit), time.Now()
	for ; visited < min(limit, b.descriptors) && len(s.All) < b.sockets; visited++ {
		if visited%perCheck == perCheck-1 && time.Since(begin) > b.time {
			break
		}
		socket, cookie, errno := socketAt(w.next())
		switch errno {
		case 0:
		case syscall.EOPNOTSUPP, syscall.ENOPROTOOPT:
			s.Others++
			continue
		case syscall.EPERM, syscall.EACCES, syscall.ENOSYS:
			return nil, fmt.Errorf("the kernel or a filter refuses to tell of sockets: %w", errno)
		default:
			continue // closed, or not a socket
		}
		if socket.Gone {
			socket.Since = r.since(cookie, now)
			gone[cookie] = socket.Since
		}
		s.All = append(s.All, socket)
	}
	r.gone = gone
	s.Share = float64(visited) / float64(limit)
	return s, nil
}

// since returns when the socket with a cookie was first seen gone. A socket without
// a cookie has always just gone.
func (r *Reader) since(cookie uint64, now time.Time) time.Time {
	if t, ok := r.gone[cookie]; ok && cookie != 0 {
		return t
	}
	return now
}

// socketAt reads a TCP socket. The cookie is that of a socket whose peer has gone.
func socketAt(fd int) (s goroutine.Socket, cookie uint64, errno syscall.Errno) {
	i, errno := infoOf(fd)
	if errno != 0 {
		return s, 0, errno
	}
	s.State, s.Gone = i.socketState(), i.gone()
	if s.Gone {
		cookie = cookieOf(fd)
		if again, errno := infoOf(fd); errno != 0 || !again.gone() {
			return s, 0, syscall.EBADF // closed meanwhile: the cookie may be of another socket
		}
	}
	if s.State == goroutine.SocketEstablished || s.Gone {
		s.Received, s.Sent, s.Answered = ms(i.lastDataRecv), ms(i.lastDataSent), ms(i.lastAckRecv)
		s.Unread = unread(fd)
	}
	return s, cookie, 0
}

func ms(n uint32) time.Duration { return time.Duration(n) * time.Millisecond }

func infoOf(fd int) (i info, errno syscall.Errno) {
	n, errno := option(fd, syscall.IPPROTO_TCP, syscall.TCP_INFO, unsafe.Pointer(&i), unsafe.Sizeof(i))
	if errno == 0 && n < unsafe.Offsetof(i.lastAckRecv)+4 {
		return i, syscall.ENOPROTOOPT
	}
	return i, errno
}

// cookieOf returns the number that the kernel gives to a socket for as long as it
// runs, which no other socket gets; 0 when the kernel does not tell.
func cookieOf(fd int) (cookie uint64) {
	if _, errno := option(fd, syscall.SOL_SOCKET, optCookie, unsafe.Pointer(&cookie), 8); errno != 0 {
		return 0
	}
	return cookie
}

// unread reports whether the queue of what was received is not empty. It does not
// ask with ioctl(2), whose meaning depends on what the descriptor is.
func unread(fd int) bool {
	var memory [9]uint32 // the first: bytes of the receive queue
	_, errno := option(fd, syscall.SOL_SOCKET, optMemory, unsafe.Pointer(&memory), unsafe.Sizeof(memory))
	return errno == 0 && memory[0] > 0
}

// option calls getsockopt(2) and returns how many bytes it has written.
func option(fd, level, name int, value unsafe.Pointer, size uintptr) (n uintptr, errno syscall.Errno) {
	length := uint32(size)
	_, _, errno = syscall.Syscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name),
		uintptr(value), uintptr(unsafe.Pointer(&length)), 0)
	return uintptr(length), errno
}

// tableSize returns a number above all open descriptors: the size of the table, or
// the limit on it when /proc is not there, or no descriptor is left to open it.
func tableSize() int {
	if n := sizeIn(status()); n > 0 {
		return n
	}
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 0
	}
	return int(min(l.Cur, maxDescriptors))
}

// status returns the beginning of /proc/self/status.
func status() []byte {
	fd, err := syscall.Open("/proc/self/status", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(fd)
	b := make([]byte, 1024)
	n, err := syscall.Read(fd, b)
	if err != nil {
		return nil
	}
	return b[:n]
}

// sizeIn returns FDSize of a status; 0 when it does not have it, as in gVisor.
func sizeIn(status []byte) int {
	_, rest, _ := bytes.Cut(status, []byte("\nFDSize:"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	n, err := strconv.Atoi(string(bytes.TrimSpace(line)))
	if err != nil {
		return 0
	}
	return n
}
