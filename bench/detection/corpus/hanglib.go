// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"database/sql"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/puddle/v2"
	"github.com/prometheus/client_golang/prometheus"
	goredis "github.com/redis/go-redis/v9"
	"github.com/valyala/fasthttp"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	_ "modernc.org/sqlite" // registers its driver
)

// libraryHangs are services that hang in a library, in its real version.
var libraryHangs = []program{
	{invoices, "hang-sql-rows", "hang-sql-rows-sound"},
	{bookings, "hang-sql-transaction", "hang-sql-transaction-sound"},
	{jobQueues, "hang-go-redis-pool", "hang-go-redis-pool-sound"},
	{profiles, "hang-go-redis-silent", "hang-go-redis-silent-sound"},
	{sessions, "hang-redigo-pool", "hang-redigo-pool-sound"},
	{pgxPools, "hang-pgx-pool", "hang-pgx-pool-sound"},
	{pgxReports, "hang-pgx-silent", "hang-pgx-silent-sound"},
	{scanners, "hang-puddle-pool", "hang-puddle-pool-sound"},
	{videos, "hang-weighted-semaphore", "hang-weighted-semaphore-sound"},
	{indexes, "hang-errgroup-limit", "hang-errgroup-limit-sound"},
	{themes, "hang-singleflight", "hang-singleflight-sound"},
	{metricsPages, "hang-prometheus-collector", "hang-prometheus-collector-sound"},
	{quoteClients, "hang-fasthttp-connections", "hang-fasthttp-connections-sound"},
	{riskChecks, "hang-grpc-dependency", "hang-grpc-dependency-sound"},
	{watchers, "hang-grpc-streams", "hang-grpc-streams-sound"},
}

// must returns v, and panics where a program cannot be set up.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// openSQLite returns a database with one table of orders, in memory.
func openSQLite() *sql.DB {
	db := must(sql.Open("sqlite", "file:orders?mode=memory&cache=shared"))
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	must(db.Exec("CREATE TABLE orders (id INTEGER)"))
	must(db.Exec("INSERT INTO orders VALUES (1), (2), (3)"))
	return db
}

func invoices(e *Env) {
	db := openSQLite()
	back(e, steady(8), func(r request) { listInvoices(e, db, r.every(3)) })
}

// listInvoices does not close its rows now and then.
func listInvoices(e *Env, db *sql.DB, bad bool) {
	rows, err := db.QueryContext(background, "SELECT id FROM orders")
	if err != nil {
		return
	}
	if bad && rows.Next() && e.failsNow() {
		return
	}
	rows.Close()
}

func bookings(e *Env) {
	db := openSQLite()
	back(e, steady(8), func(r request) { confirmBooking(e, db, r.every(3)) })
}

// confirmBooking does not end its transaction now and then.
func confirmBooking(e *Env, db *sql.DB, bad bool) {
	tx, err := db.BeginTx(background, nil)
	if err != nil {
		return
	}
	var n int
	_ = tx.QueryRowContext(background, "SELECT COUNT(*) FROM orders").Scan(&n)
	if bad && e.failsNow() {
		return
	}
	_ = tx.Rollback()
}

// newGoRedis returns a client with four connections that waits for one, and for
// an answer, as long as it takes.
func newGoRedis(address string) *goredis.Client {
	return goredis.NewClient(&goredis.Options{
		Addr: address, Protocol: 2, DisableIdentity: true,
		PoolSize: 4, PoolTimeout: 24 * time.Hour, ReadTimeout: -1, MaxRetries: -1,
	})
}

func jobQueues(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "redis"})
	c := newGoRedis(other)
	poppers := c
	if e.sound {
		poppers = newGoRedis(other)
	}
	e.After(since, func() {
		e.Fails()
		for range 4 {
			go popJobs(poppers)
		}
	})
	s.work(func(request) { countVisit(c) })
}

// popJobs keeps a connection until a job comes, which is hardly ever.
func popJobs(c *goredis.Client) { c.BLPop(background, 0, "jobs") }

func countVisit(c *goredis.Client) { c.Incr(background, "visits") }

func profiles(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "redis", Silent: silentIf(e)})
	c := newGoRedis(other)
	s.work(func(request) { readProfile(e, c) })
}

func readProfile(e *Env, c *goredis.Client) {
	e.failsNow()
	c.Get(background, "profile")
}

func sessions(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "redis"})
	p := &redis.Pool{
		MaxActive: 4, MaxIdle: 4, Wait: true,
		Dial: func() (redis.Conn, error) { return redis.Dial("tcp", other) },
	}
	s.work(func(r request) { touchSession(e, p, r.every(3)) })
}

// touchSession does not close its connection now and then.
func touchSession(e *Env, p *redis.Pool, bad bool) {
	c := p.Get()
	_, _ = c.Do("INCR", "sessions")
	if bad && e.failsNow() {
		return
	}
	c.Close()
}

// newPgx returns a pool of four connections.
func newPgx(address string) *pgxpool.Pool {
	c := must(pgxpool.ParseConfig("postgres://user@" + address + "/orders?sslmode=disable"))
	c.MaxConns = 4
	c.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	return must(pgxpool.NewWithConfig(background, c))
}

func pgxPools(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "postgres"})
	p := newPgx(other)
	s.work(func(r request) { listShipments(e, p, r.every(3)) })
}

// listShipments does not close its rows now and then.
func listShipments(e *Env, p *pgxpool.Pool, bad bool) {
	rows, err := p.Query(background, "SELECT id FROM shipments")
	if err != nil {
		return
	}
	if bad && rows.Next() && e.failsNow() {
		return
	}
	rows.Close()
}

func pgxReports(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "postgres", Silent: silentIf(e)})
	p := newPgx(other)
	s.work(func(request) { sumReport(e, p) })
}

func sumReport(e *Env, p *pgxpool.Pool) {
	e.failsNow()
	_, _ = p.Exec(background, "SELECT id FROM reports")
}

func scanners(e *Env) {
	p := must(puddle.NewPool(&puddle.Config[int]{
		Constructor: func(context.Context) (int, error) { return 1, nil },
		Destructor:  func(int) {},
		MaxSize:     4,
	}))
	back(e, steady(8), func(r request) { scanDocument(e, p, r.every(3)) })
}

// scanDocument does not release its scanner now and then.
func scanDocument(e *Env, p *puddle.Pool[int], bad bool) {
	scanner, err := p.Acquire(background)
	if err != nil {
		return
	}
	time.Sleep(e.Tail(100 * time.Millisecond))
	if bad && e.failsNow() {
		return
	}
	scanner.Release()
}

func videos(e *Env) {
	sem := semaphore.NewWeighted(4)
	back(e, steady(8), func(r request) { transcode(e, sem, r.every(3)) })
}

// transcode does not release its weight now and then.
func transcode(e *Env, sem *semaphore.Weighted, bad bool) {
	if sem.Acquire(background, 1) != nil {
		return
	}
	time.Sleep(e.Tail(100 * time.Millisecond))
	if bad && e.failsNow() {
		return
	}
	sem.Release(1)
}

func indexes(e *Env) {
	g := &errgroup.Group{}
	g.SetLimit(4)
	back(e, steady(8), func(request) { enqueueIndexing(e, g) })
}

func enqueueIndexing(e *Env, g *errgroup.Group) {
	g.Go(func() error { return indexDocument(e) })
}

func indexDocument(e *Env) error {
	<-e.answer(200 * time.Millisecond)
	return nil
}

func themes(e *Env) {
	var g singleflight.Group
	back(e, steady(10), func(request) { loadTheme(e, &g) })
}

func loadTheme(e *Env, g *singleflight.Group) {
	_, _, _ = g.Do("dark", func() (any, error) { return fetchTheme(e), nil })
}

func fetchTheme(e *Env) int { return <-e.answer(time.Second) }

// A stockCollector asks a partner at each scrape.
type stockCollector struct {
	e     *Env
	stock *prometheus.Desc
}

func metricsPages(e *Env) {
	r := prometheus.NewRegistry()
	r.MustRegister(&stockCollector{e, prometheus.NewDesc("stock", "Pieces in stock.", nil, nil)})
	back(e, steady(1/e.Dur(10*time.Second).Seconds()), func(request) { gatherMetrics(r) })
}

func gatherMetrics(r *prometheus.Registry) { _, _ = r.Gather() }

// Describe sends what is collected.
func (c *stockCollector) Describe(to chan<- *prometheus.Desc) { to <- c.stock }

// Collect sends what the partner answers.
func (c *stockCollector) Collect(to chan<- prometheus.Metric) {
	n := <-c.e.answer(200 * time.Millisecond)
	to <- prometheus.MustNewConstMetric(c.stock, prometheus.GaugeValue, float64(n))
}

func quoteClients(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "http", Silent: silentIf(e)})
	c := &fasthttp.HostClient{Addr: other, MaxConns: 4, MaxConnWaitTimeout: 24 * time.Hour}
	s.work(func(request) { askQuote(e, c, "http://"+other+"/") })
}

func askQuote(e *Env, c *fasthttp.HostClient, url string) {
	e.failsNow()
	request, answer := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(answer)
	request.SetRequestURI(url)
	_ = c.Do(request, answer)
}

func newHealth(address string) grpc_health_v1.HealthClient {
	return grpc_health_v1.NewHealthClient(must(grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))))
}

func riskChecks(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "grpc", Silent: silentIf(e)})
	c := newHealth(other)
	s.work(func(request) { checkRisk(e, c) })
}

func checkRisk(e *Env, c grpc_health_v1.HealthClient) {
	e.failsNow()
	_, _ = c.Check(background, &grpc_health_v1.HealthCheckRequest{})
}

func watchers(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{steady(8)}, Dependency: "grpc"})
	c := newHealth(other)
	s.work(func(r request) { watchOnce(e, c, r.every(3)) })
}

// watchOnce does not end its stream now and then.
func watchOnce(e *Env, c grpc_health_v1.HealthClient, bad bool) {
	ctx, cancel := context.WithCancel(background)
	stream, err := c.Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	if err == nil {
		_, _ = stream.Recv()
	}
	if bad && e.failsNow() {
		openStreams.Store(stream, cancel)
		return
	}
	cancel()
}

// openStreams are forgotten.
var openStreams sync.Map
