// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// hosts are what guests of a kind come to: a path, and what serves there.
func hosts(t *testing.T) map[string]string {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/chat" {
			(&chat{e: NewEnv(1), b: newBoard()}).serve(w, r)
			return
		}
		Outside{}.sayEvents(w, r)
	}))
	b, broker, err := newMQTT()
	require.NoError(t, err)
	t.Cleanup(func() { b.Close() })
	sink := started(t, "drain")
	host := web.Listener.Addr().String()
	return map[string]string{
		"events": "http://" + host + "/", "download": "http://" + host + "/", "upload": "http://" + host + "/upload",
		"websocket": "http://" + host + "/chat", "tcp": sink, "grpc": started(t, "grpc"), "mqtt": broker, "nats": must(newNATS()),
	}
}

// TestGuestsComeAndGo holds that each kind speaks, and closes its connection when
// it leaves.
func TestGuestsComeAndGo(t *testing.T) {
	all := hosts(t)
	assert.Len(t, guestKinds, len(all))
	for kind, address := range all {
		t.Run(kind, func(t *testing.T) {
			scheme, rest, url := strings.Cut(address, "://")
			if !url {
				scheme, rest = "", address
			}
			host, path, _ := strings.Cut(rest, "/")
			door := watchedDoor(host)
			g := Guests{Kind: kind, Address: door.address, Talk: time.Millisecond}
			if url {
				g.Address = scheme + "://" + door.address + "/" + path
			}
			ctx, leave := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- guestKinds[kind](ctx, &g) }()
			<-door.spoken
			leave()
			<-door.closed
			<-done
		})
	}
	assert.EqualError(t, Guests{Kind: "ghost"}.start(), `guests: unknown kind "ghost"`)
}

// A door is a proxy for one connection that tells what the client does.
type door struct {
	address        string
	spoken, closed chan struct{}
}

func watchedDoor(behind string) *door {
	l := listen()
	d := &door{l.Addr().String(), make(chan struct{}), make(chan struct{})}
	go func() {
		defer l.Close()
		near := must(l.Accept())
		far := must(net.Dial("tcp", behind))
		defer far.Close()
		go func() { _, _ = io.Copy(near, far) }()
		b := make([]byte, 4096)
		_, _ = far.Write(b[:must(near.Read(b))])
		close(d.spoken)
		_, _ = io.Copy(far, near)
		close(d.closed)
	}()
	return d
}

// TestAVisitEnds holds how long guests stay.
func TestAVisitEnds(t *testing.T) {
	<-(&Guests{Stay: time.Microsecond}).visit().Done()
	assert.Nil(t, new(Guests).visit().Done(), "for good")
}
