// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package corpus

import (
	"io"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// purposes are sound programs that hold a lock for minutes, because the others
// are meant to wait.
var purposes = []program{
	{migrations, "", "purpose-migration-in-once"},
	{vacuums, "", "purpose-vacuum"},
	{childProcesses, "", "purpose-one-child-process"},
	{standbys, "", "purpose-standby"},
	{backups, "", "purpose-backup-under-write-lock"},
	{rebuilds, "", "purpose-rebuild-with-workers"},
	{importQueues, "", "purpose-one-import-at-a-time"},
	{printers, "", "purpose-slow-device"},
}

const (
	held   = 10 * time.Minute // how long such a lock is held
	paused = 5 * time.Minute  // how long it is not
	aStep  = 20 * time.Second // of the work under it
)

// patient calls come now and then, from clients that give up after a minute.
func patient(e *Env) Calls {
	c := steady(4)
	c.Timeout = e.Dur(time.Minute)
	return c
}

// steps calls do again and again for as long as such a lock is held.
func steps(e *Env, do func()) {
	for began := e.Age(); e.Age()-began < held; {
		do()
	}
	e.Served()
}

// A schema is migrated by the first that needs it.
type schema struct{ migrated sync.Once }

func migrations(e *Env) {
	var current atomic.Pointer[schema]
	current.Store(&schema{})
	e.Every(held+paused, func() { current.Store(&schema{}) })
	back(e, patient(e), func(request) { current.Load().use(e) })
}

func (s *schema) use(e *Env) {
	s.migrated.Do(func() { steps(e, func() { e.Sleep(aStep) }) })
}

// A vacuumed store is compacted under its lock, by a partner that is asked for
// one step after another.
type vacuumed struct {
	mu   sync.Mutex
	rows int
}

func vacuums(e *Env) {
	v := &vacuumed{}
	e.Every(paused, func() { v.vacuum(e) })
	back(e, patient(e), func(request) { v.insert() })
}

func (v *vacuumed) vacuum(e *Env) {
	v.mu.Lock()
	defer v.mu.Unlock()
	steps(e, func() {
		done := make(chan int)
		time.AfterFunc(e.Between(aStep/2, 2*aStep), func() { done <- 1 })
		v.rows -= <-done
	})
}

func (v *vacuumed) insert() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rows++
}

// A toolbox runs one child process at a time.
type toolbox struct{ mu sync.Mutex }

func childProcesses(e *Env) {
	t := &toolbox{}
	e.Every(time.Minute, func() { t.run(e) })
	back(e, patient(e), func(request) { t.version() })
}

func (t *toolbox) run(e *Env) {
	t.mu.Lock()
	defer t.mu.Unlock()
	seconds := strconv.FormatFloat(e.Dur(held).Seconds(), 'f', 3, 64)
	if exec.Command("sleep", seconds).Run() == nil {
		e.Served()
	}
}

func (t *toolbox) version() {
	t.mu.Lock()
	defer t.mu.Unlock()
}

// A leadership is a lock: that one leads which has it.
type leadership struct{ mu sync.Mutex }

func standbys(e *Env) {
	ordinary(e)
	l := &leadership{}
	for range 3 {
		go l.campaign(e)
	}
}

func (l *leadership) campaign(e *Env) {
	for {
		l.mu.Lock()
		steps(e, func() { e.Sleep(aStep) })
		l.mu.Unlock()
		e.Sleep(aStep)
	}
}

// A warehouse is backed up under its write lock.
type warehouse struct {
	mu    sync.RWMutex
	items map[int]int
}

func backups(e *Env) {
	w := &warehouse{items: map[int]int{1: 1}}
	e.Every(paused, func() { w.backUp(e) })
	back(e, patient(e), func(request) { w.count() })
}

func (w *warehouse) backUp(e *Env) {
	w.mu.Lock()
	defer w.mu.Unlock()
	steps(e, func() {
		from, to := net.Pipe()
		time.AfterFunc(e.Dur(aStep), func() {
			_, _ = from.Write(make([]byte, 1<<16))
			from.Close()
		})
		_, _ = io.Copy(io.Discard, to)
	})
}

func (w *warehouse) count() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.items[1]
}

// A fullIndex is rebuilt under its lock by four workers.
type fullIndex struct {
	mu    sync.Mutex
	terms int
}

func rebuilds(e *Env) {
	x := &fullIndex{}
	e.Every(paused, func() { x.rebuild(e) })
	back(e, patient(e), func(request) { x.lookup() })
}

func (x *fullIndex) rebuild(e *Env) {
	x.mu.Lock()
	defer x.mu.Unlock()
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() { steps(e, func() { e.Sleep(aStep / 4) }) })
	}
	workers.Wait()
}

func (x *fullIndex) lookup() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.terms
}

// An importer runs one import at a time; the others queue.
type importer struct{ mu sync.Mutex }

func importQueues(e *Env) {
	ordinary(e)
	i := &importer{}
	e.Every(6*time.Minute, func() { go i.run(e) })
	e.Every(15*time.Minute, func() { go i.run(e) })
}

func (i *importer) run(e *Env) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for range 8 {
		e.Sleep(aStep)
	}
	e.Served()
}

// A plotter is used by one at a time, and answers slowly.
type plotter struct {
	mu sync.Mutex
	c  net.Conn
}

func printers(e *Env) {
	s, other := front(e, Outside{Calls: []Calls{patient(e)}, Dependency: "slow"})
	p := &plotter{c: must(net.Dial("tcp", other))}
	e.Every(paused, func() { p.draw(e) })
	s.work(func(request) { p.status() })
}

// draw sends how long to draw, in hundredths of a second, and reads when that is
// done.
func (p *plotter) draw(e *Env) {
	p.mu.Lock()
	defer p.mu.Unlock()
	line := []byte{byte(min(max(e.Dur(aStep)/(10*time.Millisecond), 1), 255))}
	steps(e, func() {
		if _, err := p.c.Write(line); err == nil {
			_, _ = p.c.Read(line)
		}
	})
}

func (p *plotter) status() {
	p.mu.Lock()
	defer p.mu.Unlock()
}
