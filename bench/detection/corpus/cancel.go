package corpus

import (
	"context"
	"time"
)

func cancels() []Scenario {
	return []Scenario{
		{
			Name: "cancel-session-watcher", Class: ForgottenCancel, Faulty: true, Expect: leak("watchSession"),
			Doc: "Each session has a watcher on a context; sessions that end with an error do not cancel it.",
			Run: func(e *Env) { watchedSessions(e, false) },
		},
		{
			Name: "cancel-session-watcher-deferred", Class: ForgottenCancel,
			Doc: "Each session has a watcher on a context, which is cancelled whichever way the session ends.",
			Run: func(e *Env) { watchedSessions(e, true) },
		},
		{
			Name: "cancel-heartbeat", Class: ForgottenCancel, Faulty: true, Expect: leak("heartbeat"),
			Doc: "Each job has a heartbeat until its context ends, which is a day later unless it is cancelled, and it is not.",
			Run: func(e *Env) { heartbeats(e, false) },
		},
		{
			Name: "cancel-heartbeat-stopped", Class: ForgottenCancel,
			Doc: "Each job has a heartbeat until its context ends, which is cancelled with the job.",
			Run: func(e *Env) { heartbeats(e, true) },
		},
		{
			Name: "cancel-custom-parent", Class: ForgottenCancel, Faulty: true, Expect: leak("(*cancelCtx).propagateCancel"),
			Doc: "A context of the program's own kind is the parent: the context package starts a goroutine for each child, until the child is cancelled.",
			Run: func(e *Env) { tenantContexts(e, false) },
		},
		{
			Name: "cancel-custom-parent-cancelled", Class: ForgottenCancel,
			Doc: "A context of the program's own kind is the parent, and each child is cancelled in the end.",
			Run: func(e *Env) { tenantContexts(e, true) },
		},
		{
			Name: "cancel-subscription-tree", Class: ForgottenCancel, Faulty: true, Expect: leak("(*branch).relay"),
			Doc: "A tree of contexts follows a tree of subscriptions; removing a branch forgets the contexts of its leaves.",
			Run: func(e *Env) { branches(e, false) },
		},
		{
			Name: "cancel-subscription-tree-inherited", Class: ForgottenCancel,
			Doc: "A tree of contexts follows a tree of subscriptions; removing a branch cancels all below.",
			Run: func(e *Env) { branches(e, true) },
		},
	}
}

type loginSession struct {
	ctx    context.Context
	cancel context.CancelFunc
}

func watchedSessions(e *Env, always bool) {
	var n counter
	serve(e, 10, func(context.Context) {
		s := &loginSession{}
		s.ctx, s.cancel = context.WithCancel(context.Background())
		go watchSession(e, s)
		time.Sleep(e.Tail(time.Second))
		if failed := n.every(3); failed && !always {
			e.Fault()
			return
		}
		s.cancel()
	})
}

func watchSession(e *Env, s *loginSession) {
	<-s.ctx.Done()
	e.Served()
}

func heartbeats(e *Env, stops bool) {
	serve(e, 5, func(context.Context) {
		ctx, cancel := context.WithTimeout(context.Background(), e.Dur(24*time.Hour))
		if stops {
			defer cancel()
		} else {
			// What the author meant to do in another place.
			go func() { <-ctx.Done(); cancel() }()
			e.Fault()
		}
		go heartbeat(ctx, e)
		time.Sleep(e.Tail(2 * time.Second))
		e.Served()
	})
}

func heartbeat(ctx context.Context, e *Env) {
	ticker := time.NewTicker(e.Dur(30 * time.Second))
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

// A tenantContext ends when the tenant does. The context package cannot look
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

func tenantContexts(e *Env, cancels bool) {
	tenant := &tenantContext{context.Background(), make(chan struct{})}
	serve(e, 6, func(context.Context) {
		s := &loginSession{}
		s.ctx, s.cancel = context.WithCancel(tenant)
		select {
		case <-s.ctx.Done():
		case <-time.After(e.Tail(500 * time.Millisecond)):
		}
		if !cancels {
			e.Fault()
			return
		}
		s.cancel()
		e.Served()
	})
	e.Every(24*time.Hour, func() { close(tenant.closed) })
}

// A branch relays what is published to its leaves.
type branch struct{ e *Env }

func branches(e *Env, inherits bool) {
	s := ordinary(e)
	s.handle("/branch", func(context.Context) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		b := &branch{e: e}
		for range 4 {
			parent := ctx
			if !inherits {
				parent = context.Background()
			}
			leaf := &loginSession{}
			leaf.ctx, leaf.cancel = context.WithCancel(parent)
			go b.relay(leaf, make(chan int))
		}
		time.Sleep(e.Tail(3 * time.Second))
		if !inherits {
			e.Fault()
		}
	})
	s.visit(2, "/branch")
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
