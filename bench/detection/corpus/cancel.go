// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"context"
	"time"
)

var contexts = []program{
	{watchedSessions, "cancel-session-watcher", "cancel-session-watcher-deferred"},
	{heartbeats, "cancel-heartbeat", "cancel-heartbeat-stopped"},
	{tenantContexts, "cancel-custom-parent", "cancel-custom-parent-cancelled"},
	{branches, "cancel-subscription-tree", "cancel-subscription-tree-inherited"},
}

type loginSession struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func newSession(parent context.Context) *loginSession {
	s := &loginSession{}
	s.ctx, s.cancel = context.WithCancel(parent)
	return s
}

func watchedSessions(e *Env) {
	serve(e, 10, func(r request) {
		s := newSession(context.Background())
		go watchSession(s)
		time.Sleep(e.Tail(time.Second))
		if failed := r.every(3); failed && e.Fails() {
			return
		}
		s.cancel()
	})
}

func watchSession(s *loginSession) { <-s.ctx.Done() }

func heartbeats(e *Env) {
	serve(e, 5, func(request) {
		ctx, cancel := context.WithTimeout(context.Background(), e.Dur(24*time.Hour))
		if e.Fails() {
			go func() { <-ctx.Done(); cancel() }() // what the author meant to do in another place
		} else {
			defer cancel()
		}
		go heartbeat(ctx, e, 30*time.Second)
		time.Sleep(e.Tail(2 * time.Second))
	})
}

func heartbeat(ctx context.Context, e *Env, pause time.Duration) {
	ticker := time.NewTicker(e.Dur(pause))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			e.Served()
		}
	}
}

// A tenantContext ends when the tenant does. The context package cannot see
// into it.
type tenantContext struct {
	context.Context
	closed chan struct{}
}

func (t *tenantContext) Done() <-chan struct{} { return t.closed }

func (t *tenantContext) Err() error {
	select {
	case <-t.closed:
		return context.Canceled
	default:
		return nil
	}
}

func tenantContexts(e *Env) {
	tenant := &tenantContext{context.Background(), make(chan struct{})}
	serve(e, 6, func(request) {
		s := newSession(tenant)
		select {
		case <-s.ctx.Done():
		case <-time.After(e.Tail(500 * time.Millisecond)):
		}
		if !e.Fails() {
			s.cancel()
		}
	})
	e.Every(24*time.Hour, func() { close(tenant.closed) })
}

// A branch relays what is published to its leaves.
type branch struct{ e *Env }

func branches(e *Env) {
	serve(e, 2, func(request) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b := &branch{e}
		for range 4 {
			parent := ctx
			if !e.sound {
				parent = context.Background()
			}
			go b.relay(newSession(parent), make(chan int))
		}
		time.Sleep(e.Tail(3 * time.Second))
		e.Fails()
	})
}

func (b *branch) relay(leaf *loginSession, events chan int) {
	for {
		select {
		case <-leaf.ctx.Done():
			b.e.Served()
			return
		case <-events:
		}
	}
}
