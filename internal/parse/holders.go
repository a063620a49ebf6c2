package parse

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxContested is how many locks are examined. Those that come first in a dump
	// are taken.
	maxContested = 64
	// maxObject is how many bytes into an object its lock may be. Few objects are
	// larger. An argument that points further below the lock is more often another
	// object that happens to precede this one in memory.
	maxObject = 512
	// maxSites is how many calls that lock the same lock are kept apart.
	maxSites = 16
	// maxSuspects is how many goroutines that work on the object of a lock are
	// kept apart.
	maxSuspects = 64
	// maxCircle is the maximum number of goroutines in a circle.
	maxCircle = 5
	// movedAfter is how much shorter a goroutine's wait must be than the longest
	// wait for a lock before it counts as having moved since that wait began.
	// Waits are counted in minutes.
	movedAfter = time.Minute
)

// A Lock is what a dump shows about a lock that goroutines wait for. A dump does
// not name the holder; the fields below are what the arguments of calls suggest.
type Lock struct {
	Address uint64
	Waiters int

	// Object reports whether the dump shows the object that the lock is part of.
	// Without it, everything below is unknown.
	Object bool
	// Holder may hold the lock. It is the only goroutine that is past a line where
	// others lock it, on the same object and with no unlock in between. If it
	// waits for the lock itself, it may have locked it twice. Holder is nil when
	// there is no such goroutine, or more than one.
	Holder *Suspect
	// Others is the number of goroutines, other than Holder, that work on the
	// object and do not wait for the lock. Most is how many of them are at the
	// same place as Example; no other place has more.
	Others  int
	Most    int
	Example Suspect

	// Circle is a set of goroutines, each of which wants a lock that another one
	// has; it is nil if there is none. Sure is true if their lines show that they
	// have those locks, as with Holder, or if all of them do exactly the same in a
	// different order. Otherwise each goroutine only works on the object of the
	// lock that it may have.
	Circle []Link
	Sure   bool
}

// A Suspect is a goroutine that works on the object that a lock is part of.
type Suspect struct {
	ID    uint64
	State goroutine.State
	At    goroutine.Frame // the innermost frame outside the standard library
	Under goroutine.Frame // the frame that works on the object: At or one further out
	Waits bool            // it waits for the lock
}

// A Link is one goroutine of a circle.
type Link struct {
	Goroutine uint64
	Has       uint64 // address of the lock
	Wants     uint64 // address of the lock
}

// Unlocks reports whether a function may unlock a sync.Mutex on a line after first
// and before last. It returns true if that is unknown. frame is the function that
// it is inlined in, or function itself.
type Unlocks func(frame, function string, first, last int) bool

// Locks reads from a goroutine dump which locks goroutines wait for, and what may
// hold them. Locks with the most waiters come first. If unlocks is nil, no lock
// has a Holder. Of the arguments of calls, only the addresses of locks are
// returned.
//
// The object of a lock is found among the arguments of a function that locks it:
// it is the nearest pointer at or below the address of the lock. Arguments that
// the dump marks as uncertain are ignored. The dump is read twice. Memory is
// bounded, except for the names in the dump.
func Locks(dump []byte, unlocks Unlocks) []Lock {
	h := &holders{
		unlocks:  unlocks,
		locks:    make(map[uint64]*contested),
		byObject: make(map[uint64][]*contested),
	}
	h.pass(dump, h.wait)
	h.objects()
	if len(h.byObject) > 0 {
		h.pass(dump, h.work)
	}
	return h.finish()
}

// holders holds the state while a dump is searched for locks and their holders.
type holders struct {
	unlocks  Unlocks
	dump     *dump
	calls    []frame // frames of the current goroutine
	locks    map[uint64]*contested
	order    []*contested
	byObject map[uint64][]*contested
}

// contested is a lock that goroutines wait for.
type contested struct {
	Lock
	longest  time.Duration // longest wait
	sites    []site
	suspects []suspect
	passed   int // suspects that are past a lock
}

// A site is a call that locks a lock whose object is one of its arguments.
type site struct {
	frame, function string // frame has the arguments, function has the call: they are the same, or function is inlined in frame
	line            int    // in function
	position        int    // index of the object among the arguments
	object          uint64
	inlined         bool // Lock is inlined in function, and so is Unlock
}

// A suspect is a goroutine and its relation to one lock.
type suspect struct {
	Suspect
	part  part
	wants uint64 // address of the lock it waits for
	way   way    // how it waits, if part is beside; equal for goroutines that do the same
}

// A part is how a goroutine works on the object of a lock.
type part int

const (
	beside part = iota // in the same frame in which it waits for another lock
	within             // in another frame
	past               // past a line where others lock it
)

// A way is how a goroutine waits for one lock with the object of another.
type way struct {
	frame, function string
	line            int
	wants, has      int    // argument positions of the two objects
	offset          uint64 // of the wanted lock within its object
}

// pass calls each for every goroutine of a dump.
func (h *holders) pass(dump []byte, each func()) {
	h.dump = newDump(bytes.NewReader(dump))
	h.dump.words = make([]words, maxFrames)
	h.dump.each = func() {
		h.calls = h.calls[:0]
		each()
	}
	h.dump.readAll()
}

// read reads the frames of the current goroutine.
func (h *holders) read() {
	d := h.dump
	for f, rest, ok := cutFrame(d.key[d.g.framesAt:d.stackEnd()]); ok; f, rest, ok = cutFrame(rest) {
		h.calls = append(h.calls, f)
	}
}

// owner returns the index of the frame that has the arguments of call i. That is i
// itself unless the call is inlined, and -1 when there is no such frame.
func (h *holders) owner(i int) int {
	for ; i < len(h.calls); i++ {
		if !h.dump.words[i].inlined {
			return i
		}
	}
	return -1
}

// lockCall returns the index of the call in which the current goroutine waits for
// a lock, and the index of that call's owner. Either is -1 when there is none.
func (h *holders) lockCall() (call, owner int) {
	for i, f := range h.calls {
		if !bytes.HasPrefix(f.name, []byte("sync.")) && !bytes.HasPrefix(f.name, []byte("internal/sync.")) {
			return i, h.owner(i)
		}
	}
	return -1, -1
}

// wait takes a goroutine that waits for a lock.
func (h *holders) wait() {
	g := &h.dump.g
	if g.lock == 0 {
		return
	}
	c := h.locks[g.lock]
	if c == nil {
		if len(h.locks) == maxContested {
			return
		}
		c = &contested{Lock: Lock{Address: g.lock}}
		h.locks[g.lock] = c
		h.order = append(h.order, c)
	}
	c.Waiters++
	c.longest = max(c.longest, g.header.wait)
	h.read()
	if s, ok := h.site(g.lock); ok && len(c.sites) < maxSites && !slices.Contains(c.sites, s) {
		c.sites = append(c.sites, s)
	}
}

// site returns how the current goroutine waits for a lock.
func (h *holders) site(lock uint64) (s site, ok bool) {
	call, owner := h.lockCall()
	if owner < 0 {
		return s, false
	}
	arguments := &h.dump.words[owner]
	object := arguments.nearest(lock, maxObject)
	if object == 0 {
		return s, false
	}
	return site{
		frame:    string(h.calls[owner].name),
		function: string(h.calls[call].name),
		line:     h.calls[call].line,
		position: arguments.index(object),
		object:   object,
		inlined:  call > 0 && h.dump.words[call-1].inlined,
	}, true
}

// objects fills byObject. If the same call has the same argument for different
// locks, that argument is not the object of any of them: something else decides
// which one is locked.
func (h *holders) objects() {
	seen := make(map[site]*contested)
	shared := make(map[uint64]bool)
	for _, c := range h.order {
		for _, s := range c.sites {
			if other := seen[s]; other != nil && other != c {
				shared[s.object] = true
			}
			seen[s] = c
		}
	}
	for _, c := range h.order {
		c.sites = slices.DeleteFunc(c.sites, func(s site) bool { return shared[s.object] })
		c.Object = len(c.sites) > 0
		for _, s := range c.sites {
			if !slices.Contains(h.byObject[s.object], c) {
				h.byObject[s.object] = append(h.byObject[s.object], c)
			}
		}
	}
}

// work takes a goroutine that may work on the objects of locks. A goroutine that
// waits on a condition variable has released its lock.
func (h *holders) work() {
	d := h.dump
	if d.g.state == goroutine.CondWait {
		return
	}
	var best map[*contested]suspect
	for i := range d.words[:d.g.calls] {
		for position, value := range d.words[i].value[:d.words[i].n] {
			for _, c := range h.byObject[value] {
				if best == nil {
					best = make(map[*contested]suspect)
					h.read()
				}
				s, ok := h.suspect(c, i, position)
				if was, known := best[c]; ok && (!known || s.part > was.part) {
					best[c] = s
				}
			}
		}
	}
	for c, s := range best {
		c.add(s)
	}
}

// suspect returns the current goroutine's relation to c, given an argument of
// frame i that is the object of c. A goroutine that waits for c is a suspect only
// if it may have locked c before.
func (h *holders) suspect(c *contested, i, position int) (s suspect, ok bool) {
	g := &h.dump.g
	s = suspect{part: within, wants: g.lock}
	call, owner := h.lockCall()
	if !g.state.Lock() {
		owner = -1
	}
	switch {
	case h.ahead(c, i, position, call, owner):
		s.part = past
	case i == owner && g.lock == c.Address:
		return s, false
	case h.passed(c, i, position):
		s.part = past
	case g.lock == c.Address:
		return s, false
	case i == owner:
		s.part = beside
		s.way = h.way(call, owner, position)
	}
	s.Suspect = Suspect{ID: g.header.id, State: g.state, Waits: g.lock == c.Address, At: h.user(), Under: h.dump.frame(h.calls[i])}
	return s, true
}

// passed reports whether frame i of the current goroutine is past a line where
// others lock c, with no unlock in between. It returns false if the goroutine
// began to wait after them.
func (h *holders) passed(c *contested, i, position int) bool {
	if h.unlocks == nil || h.dump.g.header.wait+movedAfter < c.longest {
		return false
	}
	for _, s := range c.sites {
		if !s.inlined || !s.receives(c) || s.frame != string(h.calls[i].name) || s.position != position {
			continue
		}
		for k := i; k >= 0 && h.owner(k) == i; k-- {
			if f := h.calls[k]; s.function == string(f.name) && f.line > s.line && !h.unlocks(s.frame, s.function, s.line, f.line) {
				return true
			}
		}
	}
	return false
}

// receives reports whether the object is the receiver of the function, or the lock
// itself. Other arguments too often precede a lock in memory by chance.
func (s *site) receives(c *contested) bool {
	return s.object == c.Address || s.position == 0 && strings.Contains(s.frame, ".(*")
}

// ahead reports whether the current goroutine is the writer of a sync.RWMutex and
// waits for its readers, at a call where others wait for c. Then it holds c, the
// lock of the writers.
func (h *holders) ahead(c *contested, i, position, call, owner int) bool {
	if h.dump.g.state != goroutine.RWMutexLock || h.dump.g.lock == c.Address || i != owner {
		return false
	}
	return slices.ContainsFunc(c.sites, func(s site) bool {
		return s.frame == string(h.calls[owner].name) && s.function == string(h.calls[call].name) &&
			s.line == h.calls[call].line && s.position == position
	})
}

// way returns how the current goroutine waits, given the position of an argument.
func (h *holders) way(call, owner, position int) way {
	s, ok := h.site(h.dump.g.lock)
	if !ok {
		return way{}
	}
	return way{s.frame, s.function, s.line, s.position, position, h.dump.g.lock - s.object}
}

// user returns the innermost frame outside the standard library.
func (h *holders) user() goroutine.Frame {
	for _, f := range h.calls {
		if at := h.dump.frame(f); !at.Standard() {
			return at
		}
	}
	return goroutine.Frame{}
}

// add counts a suspect. When there is no room left, a suspect that is past a lock
// replaces one that is not.
func (c *contested) add(s suspect) {
	if s.part == past {
		c.passed++
	}
	if !s.Waits {
		c.Others++
	}
	if len(c.suspects) < maxSuspects {
		c.suspects = append(c.suspects, s)
		return
	}
	i := slices.IndexFunc(c.suspects, func(s suspect) bool { return s.part != past })
	if s.part == past && i >= 0 {
		c.suspects[i] = s
	}
}

// finish returns the locks, those with the most waiters first.
func (h *holders) finish() []Lock {
	locks := make([]Lock, 0, len(h.order))
	for _, c := range h.order {
		c.conclude()
		h.circle(c)
		locks = append(locks, c.Lock)
	}
	slices.SortStableFunc(locks, func(a, b Lock) int {
		return cmp.Or(cmp.Compare(b.Waiters, a.Waiters), cmp.Compare(a.Address, b.Address))
	})
	return locks
}

// conclude finds the holder, and the place where most of the others are.
func (c *contested) conclude() {
	type place struct {
		state    goroutine.State
		function string
		line     int
	}
	at := make(map[place]int)
	for i := range c.suspects {
		s := &c.suspects[i]
		if s.part == past && c.passed == 1 {
			c.Holder = &s.Suspect
			if !s.Waits {
				c.Others--
			}
			continue
		}
		if s.Waits {
			continue
		}
		p := place{s.State, s.At.Function, s.At.Line}
		if at[p]++; at[p] > c.Most {
			c.Most, c.Example = at[p], s.Suspect
		}
	}
}

// circle finds a circle that c is part of, preferably one that is sure.
func (h *holders) circle(c *contested) {
	allows := []func(*contested, *suspect) bool{
		func(_ *contested, s *suspect) bool { return s.part == past },
	}
	for i := range c.suspects {
		if s := &c.suspects[i]; s.part == beside && s.way != (way{}) {
			allows = append(allows, func(_ *contested, o *suspect) bool { return o.part == beside && o.way == s.way })
		}
	}
	for _, allow := range allows {
		if c.Circle = h.links(c, allow); c.Circle != nil {
			c.Sure = true
			return
		}
	}
	c.Circle = h.links(c, func(c *contested, s *suspect) bool {
		return s.part == past || s.part == within && c.works() == 1
	})
}

// works returns how many goroutines work on the object of c without waiting for c.
func (c *contested) works() int {
	if c.Holder != nil && !c.Holder.Waits {
		return c.Others + 1
	}
	return c.Others
}

// links returns a circle of allowed suspects that leads back to the lock from
// which it starts.
func (h *holders) links(from *contested, allow func(*contested, *suspect) bool) []Link {
	tried := make(map[*contested]bool)
	var path []Link
	var follow func(c *contested) bool
	follow = func(c *contested) bool {
		tried[c] = true
		for i := range c.suspects {
			s := &c.suspects[i]
			next := h.locks[s.wants]
			if next == nil || s.Waits || len(path) == maxCircle || !allow(c, s) {
				continue
			}
			path = append(path, Link{Goroutine: s.ID, Has: c.Address, Wants: s.wants})
			if next == from || !tried[next] && follow(next) {
				return true
			}
			path = path[:len(path)-1]
		}
		return false
	}
	if !follow(from) {
		return nil
	}
	return path
}
