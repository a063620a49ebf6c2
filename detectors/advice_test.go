// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package detectors

import (
	"bytes"
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"

	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

// TestAdvice has stacks with the advice that they get. The names of function
// literals differ between versions, so they are of the versions given.
func TestAdvice(t *testing.T) {
	for name, tc := range map[string]struct {
		state goroutine.State
		stack string
		want  string
	}{
		"a response body":               {goroutine.Select, "runtime.selectgo net/http.(*persistConn).readLoop", "returns without closing its Body"},
		"and beside it":                 {goroutine.Select, "runtime.selectgo net/http.(*persistConn).writeLoop", "Find responses whose Body is not closed"},
		"HTTP/2, Go 1.26":               {goroutine.Select, "runtime.selectgo net/http.(*http2clientStream).writeRequest net/http.(*http2clientStream).doRequest", "context with a deadline"},
		"HTTP/2, Go 1.27":               {goroutine.Select, "net/http/internal/http2.(*clientStream).writeRequest net/http/internal/http2.(*clientStream).doRequest", "context with a deadline"},
		"gRPC 1.84":                     {goroutine.Select, "runtime.selectgo google.golang.org/grpc.newClientStreamWithParams.func4", "until it returns an error"},
		"gRPC 1.84, a connection":       {goroutine.ChanReceive, "google.golang.org/grpc/internal/grpcsync.(*CallbackSerializer).run", "Find grpc.NewClient"},
		"a pool, whose waiters leak":    {goroutine.Select, "database/sql.(*DB).conn database/sql.(*DB).query main.list", "Rows that are not closed"},
		"a semaphore":                   {goroutine.Select, "golang.org/x/sync/semaphore.(*Weighted).Acquire main.fetch", "does not Release the same weight"},
		"a send":                        {goroutine.ChanSend, "runtime.chansend main.report.func1", "what should receive here"},
		"a receive":                     {goroutine.ChanReceive, "runtime.chanrecv main.next", "what should send or close here"},
		"a select":                      {goroutine.Select, "runtime.selectgo main.(*Hub).run", "what should end this select"},
		"a wait group":                  {goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait main.gather", "each Add has its Done"},
		"a group of its own":            {goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait golang.org/x/sync/errgroup.(*Group).Wait main.gather", "functions of the group"},
		"a condition":                   {goroutine.CondWait, "sync.(*Cond).Wait main.(*queue).pop", "what should signal"},
		"a lock":                        {goroutine.MutexLock, "sync.(*Mutex).Lock main.inc", "holder of the lock"},
		"named like one, but not it":    {goroutine.Select, "main.persistConn.readLoop", "what should end this select"},
		"called from a function of one": {goroutine.ChanReceive, "main.(*conn).Close database/sql.(*Tx).awaitDone", "what should send or close here"},
	} {
		_, advice := adviceAt(stackOf(tc.stack), tc.state)
		assert.Contains(t, advice, tc.want, name)
	}
}

// TestAdviceOfTheStandardLibrary runs what companions says about the standard
// library of this version.
func TestAdviceOfTheStandardLibrary(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "a body") }))
	defer server.Close()
	client := server.Client()
	res, err := client.Get(server.URL) // the body is not closed
	require.NoError(t, err)
	defer res.Body.Close()
	res2, err := client.Get(server.URL)
	require.NoError(t, err)
	defer res2.Body.Close()

	db := sql.OpenDB(connector{})
	defer db.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tx, err := db.BeginTx(ctx, nil)
	require.NoError(t, err)
	defer tx.Rollback()
	rows, err := db.QueryContext(ctx, "select")
	require.NoError(t, err)
	defer rows.Close()

	derived, cancelDerived := context.WithCancel(foreignContext{ctx, make(chan struct{})})
	defer cancelDerived()
	_ = derived
	_, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	r, w := io.Pipe()
	defer w.Close()
	go io.Copy(io.Discard, r)

	want := []string{
		"returns without closing its Body", "Find responses whose Body is not closed", "without Commit or Rollback", "whose Rows are neither read",
		"Find sql.Open", "Call the cancel function", "defer its stop function", "Close both ends of the pipe",
	}
	missing := func() []string {
		given := advicesNow(t)
		return slices.DeleteFunc(slices.Clone(want), func(w string) bool {
			return slices.ContainsFunc(given, func(a string) bool { return strings.Contains(a, w) })
		})
	}
	require.EventuallyWithT(t, func(c *assert.CollectT) { assert.Empty(c, missing()) }, time.Minute, time.Millisecond)
}

// advicesNow returns the advice for each stack of this process.
func advicesNow(t *testing.T) (all []string) {
	t.Helper()
	dump := make([]byte, 1<<20)
	dump = dump[:runtime.Stack(dump, true)]
	s, err := parse.Text(bytes.NewReader(dump), time.Now(), parse.NewStacks(), new(goroutine.Births))
	assert.NoError(t, err)
	for i := range s.Groups {
		_, advice := adviceAt(s.Groups[i].Stack, s.Groups[i].State)
		all = append(all, advice)
	}
	return all
}

// foreignContext is a context that package context does not know.
type foreignContext struct {
	context.Context
	done chan struct{}
}

func (f foreignContext) Done() <-chan struct{} { return f.done }

// connector opens connections to a database that has one empty table.
type connector struct{}

func (c connector) Connect(context.Context) (driver.Conn, error) { return c, nil }
func (c connector) Driver() driver.Driver                        { return nil }
func (c connector) Prepare(string) (driver.Stmt, error)          { return c, nil }
func (c connector) Close() error                                 { return nil }
func (c connector) Begin() (driver.Tx, error)                    { return c, nil }
func (c connector) Commit() error                                { return nil }
func (c connector) Rollback() error                              { return nil }
func (c connector) NumInput() int                                { return 0 }
func (c connector) Exec([]driver.Value) (driver.Result, error)   { return driver.ResultNoRows, nil }
func (c connector) Query([]driver.Value) (driver.Rows, error)    { return c, nil }
func (c connector) Columns() []string                            { return nil }
func (c connector) Next([]driver.Value) error                    { return nil }
