package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"time"
)

// poolSize is how many connections to the warehouse there are at most.
const poolSize = 4

// A connPool keeps connections to a server that answers every line with the
// same line. The server is the service's own, so that the example needs
// nothing else to run.
type connPool struct {
	listener net.Listener
	serving  sync.WaitGroup
	idle     chan net.Conn // nil stands for a connection that is still to be made
}

func startWarehouse() (*connPool, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &connPool{listener: listener, idle: make(chan net.Conn, poolSize)}
	for range poolSize {
		p.idle <- nil
	}
	p.serving.Go(p.serve)
	return p, nil
}

func (p *connPool) serve() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.serving.Go(func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		})
	}
}

// ask sends a line and returns the answer. It waits while all connections are
// in use, and drops a connection that failed.
func (p *connPool) ask(ctx context.Context, line string) (answer string, err error) {
	var conn net.Conn
	select {
	case conn = <-p.idle:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() {
		if err != nil && conn != nil {
			conn.Close()
			conn = nil
		}
		p.idle <- conn
	}()
	if conn == nil {
		if conn, err = net.Dial("tcp", p.listener.Addr().String()); err != nil {
			return "", err
		}
	}
	return exchange(conn, line)
}

func exchange(conn net.Conn, line string) (string, error) {
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(conn, line); err != nil {
		return "", err
	}
	return bufio.NewReader(conn).ReadString('\n')
}

// close waits until no connection is in use, then ends both sides.
func (p *connPool) close() error {
	for range poolSize {
		if conn := <-p.idle; conn != nil {
			conn.Close()
		}
	}
	err := p.listener.Close()
	p.serving.Wait()
	return err
}
