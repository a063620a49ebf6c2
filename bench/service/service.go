// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"
	_ "modernc.org/sqlite"
)

const (
	itemCount = 5_000 // rows in the database
	cacheSize = 1_000 // items that the cache holds
	readers   = 4     // connections to the database that read
	pageSize  = 20
)

// An item is what the service keeps.
type item struct {
	ID          int      `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Price       int64    `json:"price"`
	Stock       int64    `json:"stock"`
	Tags        []string `json:"tags"`
}

// A service answers GET and PUT of /items/{id} with JSON, from a cache behind a
// mutex or else from SQLite, and GET of /items?from={id} with a page of items,
// from SQLite always. Safe for concurrent use.
type service struct {
	cache *lru.Cache[int, *item] // items in it are not changed
	read  *sql.DB
	write *sql.DB // one connection: SQLite has one writer at a time

	hits, reads, writes atomic.Int64
}

// openService makes a database with all items in dir.
func openService(ctx context.Context, dir string) (*service, error) {
	name := "file:" + filepath.Join(dir, "items.db") + "?_pragma=journal_mode(WAL)&_pragma=synchronous(OFF)&_pragma=busy_timeout(5000)"
	cache, noCache := lru.New[int, *item](cacheSize)
	write, noWrite := sql.Open("sqlite", name)
	read, noRead := sql.Open("sqlite", name)
	if err := errors.Join(noCache, noWrite, noRead); err != nil {
		return nil, err
	}
	s := &service{cache: cache, write: write, read: read}
	s.write.SetMaxOpenConns(1)
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if err := s.fill(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *service) close() error { return errors.Join(s.read.Close(), s.write.Close()) }

func (s *service) fill(ctx context.Context) error {
	const schema = `CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL, description TEXT NOT NULL,
		price INTEGER NOT NULL, stock INTEGER NOT NULL, tags TEXT NOT NULL)`
	if _, err := s.write.ExecContext(ctx, schema); err != nil {
		return err
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, `INSERT INTO items VALUES (?, ?, ?, ?, ?, ?)`)
	if err != nil {
		return err
	}
	for id := range itemCount {
		it := newItem(id, 0)
		if _, err := insert.ExecContext(ctx, it.ID, it.Name, it.Description, it.Price, it.Stock, strings.Join(it.Tags, ",")); err != nil {
			return err
		}
	}
	return tx.Commit()
}

// newItem makes up an item.
func newItem(id, stock int) item {
	return item{
		ID:          id,
		Name:        fmt.Sprintf("Item number %d", id),
		Description: strings.Repeat("All that there is to say about it. ", 6),
		Price:       int64(100 + id%977),
		Stock:       int64(stock),
		Tags:        []string{"garden", "outdoor", fmt.Sprintf("series %d", id%40)},
	}
}

func (s *service) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", answer(s.get))
	mux.HandleFunc("GET /items", answer(s.list))
	mux.HandleFunc("PUT /items/{id}", answer(s.put))
	return mux
}

// answer writes what f returns. Any error of f's is the server's: the load
// generator asks for nothing that is not there.
func answer(f func(*http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := f(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(body) // a client that has gone is its own matter
	}
}

const columns = `SELECT id, name, description, price, stock, tags FROM items WHERE `

func (s *service) get(r *http.Request) (any, error) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	if it, ok := s.cache.Get(id); ok {
		s.hits.Add(1)
		return it, nil
	}
	it, err := scan(s.read.QueryRowContext(r.Context(), columns+`id = ?`, id))
	if err == nil {
		s.reads.Add(1)
		s.cache.Add(id, it)
	}
	return it, err
}

// scan reads one row of a *sql.Row or *sql.Rows.
func scan(row interface{ Scan(...any) error }) (*item, error) {
	var it item
	var tags string
	err := row.Scan(&it.ID, &it.Name, &it.Description, &it.Price, &it.Stock, &tags)
	it.Tags = strings.Split(tags, ",")
	return &it, err
}

func (s *service) list(r *http.Request) (any, error) {
	from, err := strconv.Atoi(r.FormValue("from"))
	if err != nil {
		return nil, err
	}
	rows, err := s.read.QueryContext(r.Context(), columns+`id >= ? ORDER BY id LIMIT ?`, from, pageSize)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	page := make([]*item, 0, pageSize)
	for rows.Next() {
		it, err := scan(rows)
		if err != nil {
			return nil, err
		}
		page = append(page, it)
	}
	s.reads.Add(1)
	return page, rows.Err()
}

func (s *service) put(r *http.Request) (any, error) {
	var it item
	if err := json.NewDecoder(r.Body).Decode(&it); err != nil {
		return nil, err
	}
	_, err := s.write.ExecContext(r.Context(), `UPDATE items SET name = ?, description = ?, price = ?, stock = ?, tags = ? WHERE id = ?`,
		it.Name, it.Description, it.Price, it.Stock, strings.Join(it.Tags, ","), it.ID)
	if err == nil {
		s.writes.Add(1)
		s.cache.Add(it.ID, &it)
	}
	return &it, err
}
