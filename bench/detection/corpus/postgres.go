// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"net"

	"github.com/jackc/pgx/v5/pgproto3"
)

// servePostgres is a server of the PostgreSQL protocol that answers every simple
// query with three rows of one number.
func servePostgres(c net.Conn) {
	b := pgproto3.NewBackend(c, c)
	if !greet(b, c) {
		return
	}
	for {
		message, err := b.Receive()
		if err != nil {
			return
		}
		switch message.(type) {
		case *pgproto3.Query:
			answerQuery(b)
		case *pgproto3.Terminate:
			return
		}
		if b.Flush() != nil {
			return
		}
	}
}

// greet lets a client in, without TLS and a password.
func greet(b *pgproto3.Backend, c net.Conn) bool {
	message, err := b.ReceiveStartupMessage()
	if _, secure := message.(*pgproto3.SSLRequest); secure && err == nil {
		if _, err = c.Write([]byte("N")); err == nil {
			message, err = b.ReceiveStartupMessage()
		}
	}
	if _, ok := message.(*pgproto3.StartupMessage); !ok || err != nil {
		return false
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "server_version", Value: "17.0"})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	return b.Flush() == nil
}

func answerQuery(b *pgproto3.Backend) {
	const int4 = 23
	b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("id"), DataTypeOID: int4, DataTypeSize: 4, TypeModifier: -1}}})
	for _, id := range []string{"1", "2", "3"} {
		b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte(id)}})
	}
	b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 3")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
}
