package corpus

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"io"
	"sync"
	"time"
)

func pools() []Scenario {
	return []Scenario{
		{
			Name: "pool-rows-not-closed", Class: ResourcePool, Faulty: true, Expect: leak("listOrders"),
			Doc: "Rows of database/sql are not read to the end nor closed on an error, and keep their connection; in the end everybody waits for one.",
			Run: func(e *Env) { orderLists(e, false) },
		},
		{
			Name: "pool-rows-closed", Class: ResourcePool,
			Doc: "Rows of database/sql are closed by defer, with a pool that is too small for the load at times.",
			Run: func(e *Env) { orderLists(e, true) },
		},
		{
			Name: "pool-transaction-left-open", Class: ResourcePool, Faulty: true, Expect: leak("bookSeat", "(*Tx).awaitDone"),
			Doc: "A transaction is neither committed nor rolled back on an error.",
			Run: func(e *Env) { seatBookings(e, false) },
		},
		{
			Name: "pool-transaction-ended", Class: ResourcePool,
			Doc: "A transaction is rolled back by defer.",
			Run: func(e *Env) { seatBookings(e, true) },
		},
		{
			Name: "pool-buffers-not-returned", Class: ResourcePool, Faulty: true, Expect: leak("(*bufferPool).take"),
			Doc: "Buffers come from a channel; a path of the code does not give them back.",
			Run: func(e *Env) { bufferPools(e, false) },
		},
		{
			Name: "pool-buffers-returned", Class: ResourcePool,
			Doc: "Buffers come from a channel and are always given back.",
			Run: func(e *Env) { bufferPools(e, true) },
		},
		{
			Name: "pool-idle", Class: ResourcePool,
			Doc: "Forty workers wait for jobs, of which there are few.",
			Run: func(e *Env) {
				s := ordinary(e)
				jobs := make(chan int)
				for range 40 {
					go batchWorker(e, jobs)
				}
				s.handle("/put", func(context.Context) { jobs <- 1 })
				s.visit(2, "/put")
			},
		},
		{
			Name: "pool-grows-lazily", Class: ResourcePool,
			Doc: "A pool starts a worker whenever none is free, up to sixty, over most of the time.",
			Run: lazyPool,
		},
		{
			Name: "pool-autoscaling", Class: ResourcePool,
			Doc: "A pool follows its load, from four workers to fifty and back.",
			Run: autoscaling,
		},
	}
}

// miniDriver is a database that answers with three rows after a while.
type miniDriver struct{ e *Env }

func (d miniDriver) Connect(context.Context) (driver.Conn, error) { return miniConn(d), nil }
func (d miniDriver) Driver() driver.Driver                        { return nil }

type miniConn struct{ e *Env }

func (c miniConn) Prepare(string) (driver.Stmt, error) { return miniStmt(c), nil }
func (c miniConn) Close() error                        { return nil }
func (c miniConn) Begin() (driver.Tx, error)           { return miniTx{}, nil }

type miniTx struct{}

func (miniTx) Commit() error   { return nil }
func (miniTx) Rollback() error { return nil }

type miniStmt struct{ e *Env }

func (miniStmt) Close() error  { return nil }
func (miniStmt) NumInput() int { return 0 }
func (s miniStmt) Exec([]driver.Value) (driver.Result, error) {
	time.Sleep(s.e.Tail(100 * time.Millisecond))
	return driver.RowsAffected(1), nil
}
func (s miniStmt) Query([]driver.Value) (driver.Rows, error) {
	time.Sleep(s.e.Tail(200 * time.Millisecond))
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
	db := sql.OpenDB(miniDriver{e})
	db.SetMaxOpenConns(5)
	db.SetMaxIdleConns(5)
	return db
}

func orderLists(e *Env, closes bool) {
	db := openMini(e)
	var n counter
	serve(e, 8, func(context.Context) { listOrders(e, db, n.every(12), closes) })
	if closes {
		e.Every(4*time.Minute, func() {
			for range 30 {
				go listOrders(e, db, false, true)
			}
		})
	}
}

func listOrders(e *Env, db *sql.DB, bad, closes bool) {
	rows, err := db.Query("SELECT id FROM orders")
	if err != nil {
		return
	}
	if closes {
		defer rows.Close()
	}
	for rows.Next() {
		if bad {
			if !closes {
				e.Fault()
			}
			return
		}
	}
	e.Served()
}

func seatBookings(e *Env, ends bool) {
	db := openMini(e)
	var n counter
	serve(e, 8, func(context.Context) { bookSeat(e, db, n.every(15), ends) })
}

func bookSeat(e *Env, db *sql.DB, taken, ends bool) {
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		return
	}
	if ends {
		defer tx.Rollback()
	}
	if _, err := tx.Exec("UPDATE seats"); err != nil {
		return
	}
	if taken {
		if !ends {
			e.Fault()
		}
		return
	}
	if tx.Commit() == nil {
		e.Served()
	}
}

type bufferPool struct{ free chan []byte }

func bufferPools(e *Env, returns bool) {
	p := &bufferPool{make(chan []byte, 8)}
	for range cap(p.free) {
		p.free <- make([]byte, 1024)
	}
	var n counter
	serve(e, 10, func(context.Context) {
		b := p.take()
		time.Sleep(e.Tail(200 * time.Millisecond))
		if n.every(10) && !returns {
			e.Fault()
			return
		}
		p.free <- b
		e.Served()
	})
}

func (p *bufferPool) take() []byte { return <-p.free }

func lazyPool(e *Env) {
	s := ordinary(e)
	jobs := make(chan func())
	places := make(chan struct{}, 60)
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
	s.handle("/submit", func(context.Context) { submit(job) })
	s.visit(40, "/submit")          // a job every two minutes of a service for each of fifty workers
	e.Every(5*time.Minute, func() { // a few more at a time, each time
		for range min(4+int(e.Age()/time.Minute), 60) {
			go submit(job)
		}
	})
}

func autoscaling(e *Env) {
	s := ordinary(e)
	var mu sync.Mutex
	workers := 0
	jobs, stop := make(chan int, 64), make(chan struct{})
	start := func() {
		workers++
		go func() {
			for {
				select {
				case <-jobs:
					time.Sleep(e.Tail(2 * time.Second))
					e.Served()
				case <-stop:
					return
				}
			}
		}()
	}
	e.Every(10*time.Second, func() {
		mu.Lock()
		defer mu.Unlock()
		want := 4 + int(46*wave(e, 25*time.Minute))
		for ; workers < want; start() {
		}
		for ; workers > want; workers-- {
			stop <- struct{}{}
		}
	})
	s.handle("/put", func(context.Context) { jobs <- 1 })
	s.visit(10, "/put")
}
