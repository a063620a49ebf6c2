package screen

import (
	"cmp"
	"slices"
	"time"
)

// A view is what is painted: the latest collection, in rows.
type view struct {
	total   int // goroutines, as the points of goroutine.count add up
	created int // goroutines, since the process started
	states  []stateRow
	stacks  []stackRow
	open    int // findings
}

type stateRow struct {
	state string
	count int
}

type stackRow struct {
	id, state, function, entry string
	count                      int
	age                        time.Duration // of the oldest goroutine; 0 when unknown
}

// otherStacks is the stack ID that stands for all stacks without a series of
// their own.
const otherStacks = "_OTHER"

func (m *Model) view() view {
	m.mu.Lock()
	defer m.mu.Unlock()
	v := view{
		states:  states(m.latest["goroutine.count"]),
		stacks:  stacks(m.latest["goroutine.stack.goroutine.count"], m.latest["goroutine.stack.age"]),
		open:    sum(m.latest["goroutine.finding.open"]),
		created: sum(m.latest["goroutine.created"]),
	}
	for _, row := range v.states {
		v.total += row.count
	}
	return v
}

func sum(points []point) int {
	total := 0.0
	for _, p := range points {
		total += p.value
	}
	return int(total)
}

// states drops the zeros that are sent for a while after a state has gone.
func states(points []point) []stateRow {
	var rows []stateRow
	for _, p := range points {
		if p.value != 0 {
			rows = append(rows, stateRow{p.attributes["goroutine.detailed_state"], int(p.value)})
		}
	}
	slices.SortFunc(rows, func(a, b stateRow) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.state, b.state))
	})
	return rows
}

// stacks drops zeros likewise, and puts the rest of the stacks last.
func stacks(counts, ages []point) []stackRow {
	age := make(map[string]time.Duration)
	for _, p := range ages {
		age[p.attributes["goroutine.stack.id"]] = time.Duration(p.value * float64(time.Second))
	}
	var rows []stackRow
	for _, p := range counts {
		if p.value == 0 {
			continue
		}
		id := p.attributes["goroutine.stack.id"]
		rows = append(rows, stackRow{
			id:       id,
			state:    p.attributes["goroutine.detailed_state"],
			function: p.attributes["code.function.name"],
			entry:    p.attributes["goroutine.entry.function.name"],
			count:    int(p.value),
			age:      age[id],
		})
	}
	slices.SortFunc(rows, compareStacks)
	return rows
}

func compareStacks(a, b stackRow) int {
	if other := a.id == otherStacks; other != (b.id == otherStacks) {
		if other {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.function, b.function), cmp.Compare(a.state, b.state))
}
