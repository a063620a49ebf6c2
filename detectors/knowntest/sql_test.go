// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package knowntest

import (
	"database/sql"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"
)

// serveMySQL starts a server that accepts every login and says yes to every
// command, which is all that the driver needs for connections without rows.
func serveMySQL(t *testing.T) string {
	l := listen(t)
	serve(l, func(c net.Conn) {
		defer c.Close()
		greeting := "\x0a8.4.0\x00" + // protocol version, server version
			"\x01\x00\x00\x00" + "saltsalt\x00" + // connection, first part of the salt
			"\x00\x82" + "\x21" + "\x02\x00" + "\x08\x00" + // protocol 4.1 and secure connection, charset, autocommit, plugin authentication
			"\x15" + "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" + "saltsaltsalt\x00" + "mysql_native_password\x00"
		for reply, n := greeting, byte(0); ; reply = "\x00\x00\x00\x02\x00\x00\x00" { // OK, nothing affected
			if _, err := c.Write(append([]byte{byte(len(reply)), 0, 0, n}, reply...)); err != nil {
				return
			}
			var header [4]byte
			if _, err := io.ReadFull(c, header[:]); err != nil {
				return
			}
			if _, err := io.CopyN(io.Discard, c, int64(header[0])+int64(header[1])<<8); err != nil {
				return
			}
			n = header[3] + 1
		}
	})
	return l.Addr().String()
}

// openSQL makes a pool that lasts until the test is over, and uses it once.
func openSQL(t *testing.T, address string) *sql.DB {
	c := mysql.NewConfig()
	c.Net, c.Addr = "tcp", address
	db, err := sql.Open("mysql", c.FormatDSN())
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	db.SetConnMaxIdleTime(time.Hour) // which starts the cleaner
	require.NoError(t, db.PingContext(t.Context()))
	return db
}
