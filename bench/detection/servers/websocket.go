// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// webSocketHub is a hub of gorilla/websocket: each client has a reader and a
// writer, with pings, deadlines and a place in the hub.
var webSocketHub = server{"websocket", serveWebSockets, webSocketClients}

type hub struct {
	clock clock

	mu  sync.Mutex
	all map[chan []byte]bool
}

func serveWebSockets(c clock) (string, error) {
	h := &hub{clock: c, all: make(map[chan []byte]bool)}
	l, err := listen()
	if err != nil {
		return "", err
	}
	go h.tell()
	go http.Serve(l, h)
	return "ws://" + l.Addr().String(), nil
}

// ServeHTTP reads on the handler's goroutine, and writes on another.
func (h *hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer conn.Close()
	send := make(chan []byte, 16)
	h.set(send, true)
	defer h.set(send, false)
	go h.write(conn, send)
	extend := func(string) error { return conn.SetReadDeadline(time.Now().Add(h.clock.dur(5 * time.Minute))) }
	conn.SetPongHandler(extend)
	for err := extend(""); err == nil; {
		_, _, err = conn.ReadMessage()
	}
}

// tell sends something to all clients every five minutes.
func (h *hub) tell() {
	for range time.Tick(h.clock.dur(5 * time.Minute)) {
		h.broadcast([]byte("hello"))
	}
}

// set registers a client, or unregisters it and ends its writer.
func (h *hub) set(send chan []byte, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if there {
		h.all[send] = true
		return
	}
	delete(h.all, send)
	close(send)
}

func (h *hub) broadcast(message []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for send := range h.all {
		select {
		case send <- message:
		default:
		}
	}
}

func (h *hub) write(conn *websocket.Conn, send <-chan []byte) {
	ticker := time.NewTicker(h.clock.dur(time.Minute))
	defer ticker.Stop()
	for {
		kind, message := websocket.PingMessage, []byte(nil)
		select {
		case m, ok := <-send:
			if !ok {
				return
			}
			kind, message = websocket.TextMessage, m
		case <-ticker.C:
		}
		if err := conn.WriteMessage(kind, message); err != nil {
			conn.Close()
			return
		}
	}
}

// webSocketClients say something at each use.
func webSocketClients(address string, c clock) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		conn, answer, err := websocket.DefaultDialer.DialContext(ctx, address, nil)
		if err != nil {
			return err
		}
		answer.Body.Close()
		defer conn.Close()
		go func() {
			for err := error(nil); err == nil; {
				_, _, err = conn.ReadMessage()
			}
		}()
		return use(ctx, c, func() error { return conn.WriteMessage(websocket.TextMessage, []byte("hello")) })
	}, nil
}
