// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/felixge/fgprof"
	"github.com/gorilla/websocket"
)

// startFgprof polls fgprof's handler without a pause. A profile is complete if
// each of its samples has every parked goroutine.
func (h *host) startFgprof(ctx context.Context, _ phase, s settings) (*neighbour, error) {
	l := &ledger{name: "fgprof", unit: "profiles"}
	url := fmt.Sprintf("%s/debug/fgprof?seconds=%d", h.admin.url, int(s.fgprof.Seconds()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		empty := 0
		defer func() { l.note("%d profiles without samples", empty) }()
		for ctx.Err() == nil {
			data, err := fetch(url)
			if errors.Is(err, errTooBusy) {
				empty++
				continue
			}
			if err == nil {
				err = checkWall(data)
			}
			l.piece(len(data), err)
		}
	}()
	return &neighbour{l, func() error { <-done; return nil }}, nil
}

// errTooBusy is the error of a profile during which the machine let fgprof take
// hardly any sample.
var errTooBusy = errors.New("too busy to be profiled")

// fgprofHandler is fgprof's handler. Where there was less than a sample in two
// seconds, fgprof v0.9.5 divides by zero; the response is status 503 then.
func fgprofHandler() http.Handler {
	profile := fgprof.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil {
				http.Error(w, fmt.Sprint(p), http.StatusServiceUnavailable)
			}
		}()
		profile.ServeHTTP(w, r)
	})
}

func fetch(url string) ([]byte, error) {
	response, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode == http.StatusServiceUnavailable {
		return nil, errTooBusy
	}
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	return data, err
}

func checkWall(data []byte) error {
	p, err := checkProfile(data, false)
	if err != nil {
		return err
	}
	if n := parkedInProfile(p); n == 0 || n%population != 0 {
		return fmt.Errorf("%d samples of %d parked goroutines", n, population)
	}
	return nil
}

// startStatsviz opens a page of statsviz, as far as the server can tell.
//
// A message comes every second, but a machine may be busy.
func (h *host) startStatsviz(ctx context.Context, _ phase, s settings) (*neighbour, error) {
	l := &ledger{name: "statsviz", unit: "messages"}
	socket, response, err := websocket.DefaultDialer.DialContext(ctx, "ws"+strings.TrimPrefix(h.admin.url, "http")+"/debug/statsviz/ws", nil)
	if err != nil {
		return nil, err
	}
	_ = response.Body.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		read(ctx, socket, l, s.patience)
	}()
	return &neighbour{l, func() error {
		err := socket.Close()
		<-done
		return err
	}}, nil
}

// read checks messages until ctx ends. Between two of them, there may be longest.
func read(ctx context.Context, socket *websocket.Conn, l *ledger, longest time.Duration) {
	var last, gap int64 // ms
	for {
		_, data, err := socket.ReadMessage()
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			l.fault("%v", err)
			break
		}
		at, err := checkMessage(data)
		if err == nil && at > 0 && last > 0 {
			gap = max(gap, at-last)
			if at < last || gap > longest.Milliseconds() {
				err = fmt.Errorf("a message of %d ms follows one of %d ms", at, last)
			}
		}
		if at > 0 {
			last = at
		}
		l.piece(len(data), err)
	}
	l.note("longest gap %d ms", gap)
}

// checkMessage returns the time of a message, in ms, or 0 for the first, which
// has none.
func checkMessage(data []byte) (at int64, err error) {
	var message struct {
		Event string `json:"event"`
		Data  struct {
			Timestamp int64           `json:"timestamp"`
			Series    json.RawMessage `json:"series"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &message); err != nil {
		return 0, err
	}
	if len(message.Data.Series) < 100 {
		return 0, fmt.Errorf("a %s message without series", message.Event)
	}
	if message.Event == "metrics" && message.Data.Timestamp == 0 {
		return 0, errors.New("a message without a time")
	}
	return message.Data.Timestamp, nil
}
