package corpus

import (
	"context"
	"errors"
	"sync"
	"time"
)

func sends() []Scenario {
	return []Scenario{
		{
			Name: "send-first-answer-wins", Class: AbandonedSend, Faulty: true, Expect: leak("queryReplica"),
			Doc: "Three replicas are asked, the first answer is taken, the others send to nobody.",
			Run: func(e *Env) { firstAnswers(e, 0) },
		},
		{
			Name: "send-first-answer-wins-buffered", Class: AbandonedSend,
			Doc: "Three replicas are asked, the first answer is taken, the others fit the buffer.",
			Run: func(e *Env) { firstAnswers(e, 3) },
		},
		{
			Name: "send-after-timeout", Class: AbandonedSend, Faulty: true, Expect: leak("renderReport"),
			Doc: "A report that takes too long is not waited for, and its maker sends it to nobody.",
			Run: func(e *Env) { reports(e, 0) },
		},
		{
			Name: "send-after-timeout-buffered", Class: AbandonedSend,
			Doc: "A report that takes too long is not waited for, and its maker leaves it in the buffer.",
			Run: func(e *Env) { reports(e, 1) },
		},
		{
			Name: "send-first-error-returns", Class: AbandonedSend, Faulty: true, Expect: leak("checkPart"),
			Doc: "All parts of an order are checked side by side; the first error ends the request, and the other checks have nobody to tell.",
			Run: func(e *Env) { checkedOrders(e, false) },
		},
		{
			Name: "send-first-error-drained", Class: AbandonedSend,
			Doc: "All parts of an order are checked side by side, and every verdict is taken before the first error is returned.",
			Run: func(e *Env) { checkedOrders(e, true) },
		},
		{
			Name: "send-to-departed-subscriber", Class: AbandonedSend, Faulty: true, Expect: leak("(*newsroom).publish"),
			Doc: "A publisher sends to each subscriber on a goroutine; those who left while it did never receive.",
			Run: func(e *Env) { newsrooms(e, false) },
		},
		{
			Name: "send-to-departed-subscriber-guarded", Class: AbandonedSend,
			Doc: "A publisher sends to each subscriber on a goroutine, and gives up when the subscriber leaves.",
			Run: func(e *Env) { newsrooms(e, true) },
		},
		{
			Name: "send-once-at-start", Class: AbandonedSend, Faulty: true, Expect: []Expectation{{"leak", "loadRemoteConfig", 1}}, Proof: true,
			Beyond: "a single goroutine that waits looks like an idle worker, however long one watches",
			Doc:    "At the start the remote configuration is given up on after a second; its loader sends to nobody, once.",
			Run: func(e *Env) {
				ordinary(e)
				loadRemoteConfig(e)
			},
		},
		{
			Name: "send-backpressure", Class: AbandonedSend,
			Doc: "Producers wait to send to a slow consumer, which takes from them in turn.",
			Run: backpressure,
		},
	}
}

func firstAnswers(e *Env, buffer int) {
	serve(e, 4, func(context.Context) {
		answers := make(chan int, buffer)
		for range 3 {
			go queryReplica(e, answers)
		}
		<-answers
		if buffer == 0 {
			e.Fault()
		}
		e.Served()
	})
}

func queryReplica(e *Env, answers chan<- int) {
	time.Sleep(e.Tail(300 * time.Millisecond))
	answers <- 1
}

func reports(e *Env, buffer int) {
	serve(e, 10, func(context.Context) {
		if renderReport(e, buffer) == nil && buffer == 0 {
			e.Fault()
		}
		e.Served()
	})
}

func renderReport(e *Env, buffer int) []byte {
	report := make(chan []byte, buffer)
	go func() {
		time.Sleep(e.Tail(500 * time.Millisecond))
		report <- make([]byte, 64)
	}()
	select {
	case r := <-report:
		return r
	case <-time.After(e.Dur(800 * time.Millisecond)):
		return nil
	}
}

var errPart = errors.New("bad part")

func checkedOrders(e *Env, drain bool) {
	var orders counter
	serve(e, 8, func(context.Context) {
		bad := orders.every(4)
		verdicts := make(chan error)
		for i := range 5 {
			go checkPart(e, verdicts, bad && i == 0)
		}
		var first error
		for range 5 {
			if err := <-verdicts; err != nil && first == nil {
				if first = err; !drain {
					e.Fault()
					return
				}
			}
		}
		e.Served()
	})
}

func checkPart(e *Env, verdicts chan<- error, bad bool) {
	if bad {
		verdicts <- errPart
		return
	}
	time.Sleep(e.Tail(300 * time.Millisecond))
	verdicts <- nil
}

// A newsroom tells its readers.
type newsroom struct {
	e       *Env
	guarded bool
	mu      sync.Mutex
	readers map[*reader]bool
}

type reader struct {
	news chan string
	gone chan struct{}
}

func newsrooms(e *Env, guarded bool) {
	n := &newsroom{e: e, guarded: guarded, readers: make(map[*reader]bool)}
	s := ordinary(e)
	s.handle("/read", func(context.Context) { n.read() })
	s.visit(3, "/read")
	e.Every(3*time.Second, func() { n.publish("news") })
}

// read stays for some items. It takes its time over each.
func (n *newsroom) read() {
	r := &reader{make(chan string), make(chan struct{})}
	n.mu.Lock()
	n.readers[r] = true
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.readers, r)
		n.mu.Unlock()
		close(r.gone)
		if !n.guarded {
			n.e.Fault()
		}
	}()
	for range 3 {
		<-r.news
		n.e.Sleep(4 * time.Second)
		n.e.Served()
	}
}

func (n *newsroom) publish(item string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for r := range n.readers {
		gone := r.gone
		if !n.guarded {
			gone = nil
		}
		go func() {
			if gone == nil {
				r.news <- item
				return
			}
			select {
			case r.news <- item:
			case <-gone:
			}
		}()
	}
}

func loadRemoteConfig(e *Env) {
	config := make(chan string)
	go func() {
		e.Sleep(3 * time.Second)
		config <- "remote"
	}()
	select {
	case <-config:
	case <-time.After(e.Dur(time.Second)):
		e.Fault()
	}
}

func backpressure(e *Env) {
	s := ordinary(e)
	queue := make(chan int)
	go func() {
		for range queue {
			e.Sleep(2 * time.Second)
			e.Served()
		}
	}()
	for range 12 {
		go func() {
			for i := 0; ; i++ {
				queue <- i
			}
		}()
	}
	s.handle("/put", func(context.Context) { queue <- 1 })
	s.visit(2, "/put")
}
