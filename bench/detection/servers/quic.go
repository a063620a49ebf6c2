// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"time"

	"github.com/quic-go/quic-go"
)

// quicServer is quic-go: it echoes streams, of which each client has one for each
// use, on a connection that stays.
var quicServer = server{"quic", serveQUIC, quicClients}

const protocol = "echo"

// quicConfig gives up late for the scale: a busy machine may be silent for seconds.
func quicConfig(c clock) *quic.Config {
	return &quic.Config{MaxIdleTimeout: max(c.dur(5*time.Minute), 10*time.Second), HandshakeIdleTimeout: 5 * time.Second, KeepAlivePeriod: c.dur(time.Minute)}
}

func serveQUIC(c clock) (string, error) {
	certificate, err := selfSigned()
	if err != nil {
		return "", err
	}
	l, err := quic.ListenAddr("127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{protocol}}, quicConfig(c))
	if err != nil {
		return "", err
	}
	go func() {
		for {
			conn, err := l.Accept(context.Background())
			if err != nil {
				return
			}
			go echoStreams(conn)
		}
	}()
	return l.Addr().String(), nil
}

func echoStreams(conn *quic.Conn) {
	for {
		stream, err := conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		go func() {
			_, _ = io.Copy(stream, stream)
			stream.Close()
		}()
	}
}

func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	if err != nil {
		return tls.Certificate{}, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

func quicClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		conn, err := dialQUIC(ctx, address, c)
		if err != nil {
			return err
		}
		defer conn.CloseWithError(0, "")
		return use(ctx, c, func() error { return echo(ctx, conn) })
	}, nil
}

// dialQUIC tries again when the server refuses: it lets 32 connections at most wait
// to be accepted.
func dialQUIC(ctx context.Context, address string, c clock) (conn *quic.Conn, err error) {
	for range 10 {
		conn, err = quic.DialAddr(ctx, address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{protocol}}, quicConfig(c))
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(c.dur(10 * time.Second))
	}
	return conn, err
}

func echo(ctx context.Context, conn *quic.Conn) error {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return err
	}
	_, err = io.WriteString(stream, "hello")
	err = errors.Join(err, stream.Close())
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, stream)
	return err
}
