package engine

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

const (
	// maxCompany is how many findings, those with the most goroutines, are compared
	// with each other in one step; maxSpots is of how many places of each.
	maxCompany, maxSpots = 24, 3
	// maxPairs is how many pairs are remembered as one growth.
	maxPairs = 1000
	// keepPair is for how many steps a pair is remembered without being seen.
	keepPair = 100

	// byChance is the highest probability with which two unrelated growths are taken
	// for one. There are at most 276 pairs in a step.
	byChance = 1e-6
	// byChanceRelated is the same for growths of which the code shows that they have
	// to do with each other: then the numbers must only not contradict it.
	byChanceRelated = 1e-2

	// passing is how many of the newest snapshots do not count as arrivals: what is
	// at a place only in these may be about to leave.
	passing = 2
	// leastPast is how many earlier snapshots are needed to compare growths.
	leastPast = 8
)

// A company finds findings that tell of one growth: places whose goroutines come
// together and stay. It remembers what it has found, so that a pair that the
// history no longer proves does not fall apart.
type company struct {
	steps uint64
	pairs map[pair]uint64               // when they were last seen
	leads map[detectors.Identity]uint64 // the same for those that others are part of
}

type pair [2]detectors.Identity

func newCompany() *company {
	return &company{pairs: make(map[pair]uint64), leads: make(map[detectors.Identity]uint64)}
}

// hosts makes findings that are a fault of their own, and tell of one growth, part
// of the one that leads them: it changes host, which is as in [yielding.hosts].
func (c *company) hosts(all []*detectors.Finding, host []int, y yielding, v *view) {
	var own []int
	for i, f := range all {
		if host[i] == i && f.Stands && !wide(f) {
			own = append(own, i)
		}
	}
	if len(own) < 2 {
		return
	}
	slices.SortStableFunc(own, func(i, k int) int { return cmp.Compare(all[k].Count, all[i].Count) })
	own = own[:min(len(own), maxCompany)]
	of := c.group(all, own, v)
	for n, i := range own {
		if of[n] != n {
			continue
		}
		lead := i
		for m, k := range own {
			if m > n && of[m] == n && c.before(all[k], all[lead], y) {
				lead = k
			}
		}
		c.follow(all, host, own, of, n, lead)
	}
	for i := range host {
		host[i] = host[host[i]] // parts of a part
	}
}

// merge returns findings with those that others lead made part of these.
func (c *company) merge(all []detectors.Finding, y yielding, v *view) []detectors.Finding {
	pointers, host := make([]*detectors.Finding, len(all)), make([]int, len(all))
	for i := range all {
		pointers[i], host[i] = &all[i], i
	}
	c.hosts(pointers, host, y, v)
	return collect(all, host, accompany)
}

// follow makes the members of group n part of the finding that leads it.
func (c *company) follow(all []*detectors.Finding, host, own, of []int, n, lead int) {
	for m, k := range own {
		if of[m] == n && k != lead {
			host[k] = lead
			c.leads[all[lead].Identity()] = c.steps
			delete(c.leads, all[k].Identity())
		}
	}
}

// group returns for each of own the position in it of the first that tells of the
// same growth.
func (c *company) group(all []*detectors.Finding, own []int, v *view) []int {
	of := make([]int, len(own))
	var g *growths
	for n, i := range own {
		of[n] = n
		for m, k := range own[:n] {
			if of[m] == of[n] || !mayBeOne(all[i], all[k]) {
				continue
			}
			if g == nil {
				g = newGrowths(v, all, own)
			}
			if c.one(all[i], all[k], g) {
				joined := max(of[n], of[m])
				for j := range of[:n+1] {
					if of[j] == joined {
						of[j] = min(of[n], of[m])
					}
				}
				of[n] = of[m]
			}
		}
	}
	return of
}

// mayBeOne reports whether two findings may tell of one growth. Queues for two
// locks are two faults, even if every request waits for both.
func mayBeOne(f, g *detectors.Finding) bool {
	return f.Subject == "" || g.Subject == ""
}

// one reports whether two findings tell of one growth, and remembers it if so.
func (c *company) one(f, g *detectors.Finding, all *growths) bool {
	a, b := f.Identity(), g.Identity()
	for _, p := range []pair{{a, b}, {b, a}} {
		if _, ok := c.pairs[p]; ok {
			c.pairs[p] = c.steps
			return true
		}
	}
	if !oneCall(f, g) && !all.together(f, g) {
		return false
	}
	if len(c.pairs) < maxPairs {
		c.pairs[pair{a, b}] = c.steps
	}
	return true
}

// step begins a step, and forgets pairs that have not been seen for long.
func (c *company) step() {
	c.steps++
	for p, seen := range c.pairs {
		if c.steps-seen > keepPair {
			delete(c.pairs, p)
		}
	}
	for i, seen := range c.leads {
		if c.steps-seen > keepPair {
			delete(c.leads, i)
		}
	}
}

// before reports whether f leads g: as it explains more, as before, because its
// goroutines are not those that wait for the others to end, because they made the
// others, or because they are older.
func (c *company) before(f, g *detectors.Finding, y yielding) bool {
	if f.Detector != g.Detector && (y.reaches(f.Detector, g.Detector) || y.reaches(g.Detector, f.Detector)) {
		return y.reaches(g.Detector, f.Detector)
	}
	_, was := c.leads[f.Identity()]
	_, is := c.leads[g.Identity()]
	if was != is {
		return was
	}
	if a, b := f.State == goroutine.WaitGroupWait, g.State == goroutine.WaitGroupWait; a != b {
		return b
	}
	if a, b := made(f, g), made(g, f); a != b {
		return a
	}
	return older(f, g)
}

// older reports whether most of the goroutines that f lists are older than those
// that g lists, pair by pair.
func older(f, g *detectors.Finding) bool {
	n, both := 0, min(len(f.IDs), len(g.IDs))
	for i := range both {
		if f.IDs[i] < g.IDs[i] {
			n++
		}
	}
	return 2*n > both
}

// oneCall reports whether the goroutines of two findings wait in one call of the
// program, along different paths or at different depths: at the same line, or in the
// same call of a library. Some requests wait for the answer of a server, and others
// for a place in its queue.
func oneCall(f, g *detectors.Finding) bool {
	if f.Stack.ID == g.Stack.ID {
		return false // in another state
	}
	if a, b := f.Stack.User(), g.Stack.User(); a == b && ofProgram(a) {
		return f.State == g.State && f.Stack.Entry().Function == g.Stack.Entry().Function
	}
	return sameLibraryCall(f.Stack.Visible(), g.Stack.Visible())
}

// sameLibraryCall reports whether two stacks have their innermost frame of the
// program in common, and what that calls.
func sameLibraryCall(a, b []goroutine.Frame) bool {
	a, b = toProgram(a), toProgram(b)
	return len(a) > 1 && len(b) > 1 && slices.Equal(a[1:], b[1:]) && a[0].Function == b[0].Function
}

// toProgram returns the innermost frame of the program and all around it, and
// before these the frame that it calls; nil when there is none of the program.
func toProgram(frames []goroutine.Frame) []goroutine.Frame {
	i := slices.IndexFunc(frames, ofProgram)
	if i < 1 {
		return nil
	}
	return frames[i-1:]
}

// ofProgram reports whether a frame is of the program's own module, as far as its
// file shows: neither of the standard library nor of a module with a version.
func ofProgram(f goroutine.Frame) bool {
	return !f.Standard() && !strings.Contains(f.File, "@v") && !strings.Contains(f.File, "/vendor/")
}

// related reports whether the code shows that the goroutines of two findings have
// to do with each other: one go statement made both, or goroutines of one made the
// others.
func related(f, g *detectors.Finding) bool {
	return f.CreatedBy.Function != "" && f.CreatedBy == g.CreatedBy || made(f, g) || made(g, f)
}

// made reports whether the go statement of g is in a function that the goroutines of
// f are in, or g runs a function that is written within such a one.
func made(f, g *detectors.Finding) bool {
	entry := starter(g.Stack)
	return slices.ContainsFunc(f.Stack.Frames, func(frame goroutine.Frame) bool {
		if frame.Standard() {
			return false // a server's loop makes goroutines for everything
		}
		return frame.Function == g.CreatedBy.Function || within(entry, frame.Function)
	})
}

// within reports whether a function is one without a name that is written in
// another, by the names that the compiler gives: f.func1, and f.func1.2 in that.
func within(function, outer string) bool {
	rest, ok := strings.CutPrefix(function, outer+".")
	return ok && (strings.HasPrefix(rest, "func") || rest != "" && rest[0] >= '0' && rest[0] <= '9')
}

// starter returns the outermost function of the program on a stack: what a library
// that runs functions of others was given, such as an errgroup. If there is none, it
// returns the entry function.
func starter(s *goroutine.Stack) string {
	frames := s.Visible()
	for _, f := range slices.Backward(frames) {
		if ofProgram(f) {
			return f.Function
		}
	}
	return s.Entry().Function
}

// A growths compares how the goroutines of findings came.
type growths struct {
	at map[spot]*arrivals // nil when there are too few snapshots
}

// Arrivals are how the goroutines of a place came: by the time when they were born,
// and by that when they were first at the place. The latter is better for
// goroutines that did other things before.
type arrivals struct {
	births, sights course
	ids            []uint64
}

// compared returns the places of a finding that are compared.
func compared(f *detectors.Finding) []spot {
	all := spotsOf(f, concerned)
	return all[:min(len(all), maxSpots)]
}

func newGrowths(v *view, all []*detectors.Finding, own []int) *growths {
	g := &growths{}
	if v == nil || len(v.past) < leastPast {
		return g
	}
	g.at = make(map[spot]*arrivals)
	byStack := make(map[goroutine.StackID][]spot)
	for _, i := range own {
		for _, s := range compared(all[i]) {
			if g.at[s] == nil {
				g.at[s] = &arrivals{births: v.births(s), ids: v.oldest(s)}
				byStack[s.stack] = append(byStack[s.stack], s)
			}
		}
	}
	g.see(v, byStack)
	return g
}

// births returns the course of the births at a place.
func (v *view) births(at spot) course {
	settled := v.past[len(v.past)-passing].Time
	n := 0
	for n < len(v.Epochs) && !v.Epochs[n].End.After(settled) {
		n++
	}
	c := course{came: make([]int, n), ends: make([]time.Time, n)}
	for k := range n {
		c.ends[k] = v.Epochs[k].End
	}
	for _, g := range v.at([]spot{at}) {
		for _, b := range g.Births {
			if b.Epoch >= 0 && b.Epoch < n {
				c.came[b.Epoch] += b.Count
			}
		}
	}
	return c
}

// oldest returns the lowest IDs at a place.
func (v *view) oldest(at spot) (ids []uint64) {
	for _, g := range v.at([]spot{at}) {
		ids = goroutine.LowestIDs(ids, g.IDs...)
	}
	return ids
}

// see counts the goroutines at all places, in all snapshots. What was at a place
// counts as having stayed as far as no later snapshot has fewer.
func (g *growths) see(v *view, byStack map[goroutine.StackID][]spot) {
	snapshots := append(slices.Clip(v.past), v.Snapshot)
	for k, s := range snapshots {
		for _, other := range g.at {
			other.sights.came, other.sights.ends = append(other.sights.came, 0), append(other.sights.ends, s.Time)
		}
		for i := range s.Groups {
			for _, at := range byStack[s.Groups[i].Stack.ID] {
				if at.has(s.Groups[i].Stack.ID, s.Groups[i].State) {
					g.at[at].sights.came[k] += s.Groups[i].Count
				}
			}
		}
	}
	for _, other := range g.at {
		other.sights.settle()
	}
}

// settle turns the numbers that were there into those that came and have stayed.
func (c *course) settle() {
	for k := len(c.came) - 2; k >= 0; k-- {
		c.came[k] = min(c.came[k], c.came[k+1])
	}
	for k := len(c.came) - 1; k > 0; k-- {
		c.came[k] -= c.came[k-1]
	}
	n := len(c.came) - passing
	c.came, c.ends = c.came[:n], c.ends[:n]
}

// together reports whether the goroutines of two findings came together.
func (g *growths) together(f, other *detectors.Finding) bool {
	most := math.Log(byChance)
	rel := related(f, other)
	for _, s := range compared(f) {
		for _, t := range compared(other) {
			a, b := g.at[s], g.at[t]
			if a == nil || b == nil || s == t {
				continue
			}
			births, sights := a.births.apart(b.births), a.sights.apart(b.sights)
			if rel && min(births, sights) <= math.Log(byChanceRelated) {
				return true
			}
			births *= min(a.births.evenness(), b.births.evenness())
			sights *= min(a.sights.evenness(), b.sights.evenness())
			if min(births, sights, inStep(a.ids, b.ids), inStep(b.ids, a.ids)) <= most {
				return true
			}
		}
	}
	return false
}

// accompany adds to f a finding that tells of the same growth: its places and one
// sentence. The number of goroutines stays that of f, and part has its own.
func accompany(f, part *detectors.Finding) {
	f.Confidence = max(f.Confidence, part.Confidence)
	own := f.Participants
	if len(own) == 0 {
		own = []detectors.Participant{alone(f, detectors.RoleCause)}
	}
	added := slices.Clone(part.Participants)
	if len(added) == 0 {
		added = []detectors.Participant{alone(part, "")}
	}
	for i := range added {
		added[i].Role = detectors.RoleCompanion
	}
	added = slices.DeleteFunc(added, func(p detectors.Participant) bool {
		return slices.ContainsFunc(own, func(q detectors.Participant) bool { return samePlace(&p, &q) })
	})
	if len(added) == 0 {
		return
	}
	f.Participants = slices.Concat(own, added)
	f.Participants = f.Participants[:min(len(f.Participants), detectors.MaxParticipants)]
	said := "Others come together with them and stay: %s."
	if oneCall(f, part) {
		said = "Others wait in the same call: %s."
	}
	said = fmt.Sprintf(said, added[0].String())
	f.Evidence = append(slices.Clone(f.Evidence[:min(len(f.Evidence), detectors.MaxEvidence-1)]), said)
}
