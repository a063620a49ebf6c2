// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"time"
)

var pools = []program{
	{orderLists, "pool-rows-not-closed", "pool-rows-closed"},
	{seatBookings, "pool-transaction-left-open", "pool-transaction-ended"},
	{bufferPools, "pool-buffers-not-returned", "pool-buffers-returned"},
	{idlePool, "", "pool-idle"},
	{lazyPool, "", "pool-grows-lazily"},
	{autoscaling, "", "pool-autoscaling"},
}

// miniDB is a database that answers with three rows after a while. It is its
// own driver, connection, statement and transaction.
type miniDB struct{ e *Env }

func (d miniDB) Connect(context.Context) (driver.Conn, error) { return d, nil }
func (d miniDB) Driver() driver.Driver                        { return nil }
func (d miniDB) Prepare(string) (driver.Stmt, error)          { return d, nil }
func (d miniDB) Begin() (driver.Tx, error)                    { return d, nil }
func (miniDB) Close() error                                   { return nil }
func (miniDB) Commit() error                                  { return nil }
func (miniDB) Rollback() error                                { return nil }
func (miniDB) NumInput() int                                  { return 0 }

func (d miniDB) Exec([]driver.Value) (driver.Result, error) {
	time.Sleep(d.e.Tail(100 * time.Millisecond))
	return driver.RowsAffected(1), nil
}

func (d miniDB) Query([]driver.Value) (driver.Rows, error) {
	time.Sleep(d.e.Tail(200 * time.Millisecond))
	return &miniRows{}, nil
}

type miniRows struct{ n int }

func (*miniRows) Columns() []string { return []string{"id"} }
func (*miniRows) Close() error      { return nil }
func (r *miniRows) Next(to []driver.Value) error {
	if r.n++; r.n > 3 {
		return io.EOF
	}
	to[0] = int64(r.n)
	return nil
}

func openMini(e *Env) *sql.DB {
	db := sql.OpenDB(miniDB{e})
	db.SetMaxOpenConns(5)
	db.SetMaxIdleConns(5)
	return db
}

func orderLists(e *Env) {
	db := openMini(e)
	serve(e, 8, func(r request) { listOrders(e, db, r.every(12)) })
	if e.sound {
		e.Every(4*time.Minute, func() {
			for range 30 {
				go listOrders(e, db, false)
			}
		})
	}
}

func listOrders(e *Env, db *sql.DB, bad bool) {
	rows, err := db.Query("SELECT id FROM orders")
	if err != nil {
		return
	}
	if e.sound {
		defer rows.Close()
	}
	for rows.Next() {
		if bad {
			e.Fails()
			return
		}
	}
}

func seatBookings(e *Env) {
	db := openMini(e)
	serve(e, 8, func(r request) { bookSeat(e, db, r.every(15)) })
}

func bookSeat(e *Env, db *sql.DB, taken bool) {
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return
	}
	if e.sound {
		defer tx.Rollback()
	}
	if _, err := tx.Exec("UPDATE seats"); err != nil {
		return
	}
	if taken {
		e.Fails()
		return
	}
	_ = tx.Commit()
}

type bufferPool struct{ free chan []byte }

func bufferPools(e *Env) {
	p := &bufferPool{make(chan []byte, 8)}
	for range cap(p.free) {
		p.free <- make([]byte, 1024)
	}
	serve(e, 10, func(r request) {
		b := p.take()
		time.Sleep(e.Tail(200 * time.Millisecond))
		if r.every(10) && e.Fails() {
			return
		}
		p.free <- b
	})
}

func (p *bufferPool) take() []byte { return <-p.free }

func idlePool(e *Env) {
	jobs := make(chan int)
	for range 40 {
		go batchWorker(e, jobs)
	}
	serve(e, 2, func(request) { jobs <- 1 })
}

func lazyPool(e *Env) {
	jobs, places := make(chan func()), make(chan struct{}, 60)
	submit := func(job func()) {
		select {
		case jobs <- job:
			return
		default:
		}
		select {
		case jobs <- job:
		case places <- struct{}{}:
			go func() {
				job()
				for job := range jobs {
					job()
				}
			}()
		}
	}
	job := func() { time.Sleep(e.Tail(3 * time.Second)); e.Served() }
	serve(e, 40, func(request) { submit(job) }) // a job every two minutes of a service for each of fifty workers
	e.Every(5*time.Minute, func() {             // a few more at a time, each time
		for range min(4+int(e.Age()/time.Minute), 60) {
			go submit(job)
		}
	})
}

func autoscaling(e *Env) {
	workers := 0
	jobs, stop := make(chan int, 64), make(chan struct{})
	e.Every(10*time.Second, func() {
		want := 4 + int(46*wave(e, 25*time.Minute))
		for ; workers < want; workers++ {
			go stoppable(jobs, stop, func() { time.Sleep(e.Tail(2 * time.Second)); e.Served() })
		}
		for ; workers > want; workers-- {
			stop <- struct{}{}
		}
	})
	serve(e, 10, func(request) { jobs <- 1 })
}

// stoppable is a worker that can be told to end.
func stoppable(jobs <-chan int, stop <-chan struct{}, work func()) {
	for {
		select {
		case <-jobs:
			work()
		case <-stop:
			return
		}
	}
}
