package report

import (
	"slices"
	"sort"
)

// Functions is the goroutines by function. Flat is how many are in a function
// itself: it is the innermost one outside the runtime. Cumulative is how many
// have it anywhere on their stack, each counted once.
type Functions struct {
	Distinct   int        `json:"distinct"`   // functions on all stacks
	Flat       []Function `json:"flat"`       // the largest by Flat
	Cumulative []Function `json:"cumulative"` // the largest by Cumulative
}

// A Function is one row of Functions.
type Function struct {
	Name              string  `json:"name"`
	Flat              int     `json:"flat"`
	FlatPercent       float64 `json:"flat_percent"`
	Cumulative        int     `json:"cumulative"`
	CumulativePercent float64 `json:"cumulative_percent"`
}

// A tally counts the goroutines of one function.
type tally struct {
	flat, cumulative int
	last             int // the stack counted last, from 1: recursion counts once
}

// FunctionsOf counts the goroutines of some stacks, of which there are total in
// all, by function. It returns the largest, at most top of each list.
func FunctionsOf(stacks []Stack, total, top int) Functions {
	index := make(map[string]int, len(stacks))
	var names []string
	var tallies []tally
	for i := range stacks {
		for depth := range stacks[i].Frames {
			name := stacks[i].Frames[depth].Function
			at, ok := index[name]
			if !ok {
				at = len(tallies)
				index[name] = at
				names, tallies = append(names, name), append(tallies, tally{})
			}
			tallies[at].count(i+1, depth, stacks[i].Count)
		}
	}
	all := make([]Function, len(tallies))
	for i, t := range tallies {
		all[i] = Function{names[i], t.flat, percent(t.flat, total), t.cumulative, percent(t.cumulative, total)}
	}
	return Functions{
		Distinct:   len(all),
		Flat:       largest(all, top, func(f *Function) int { return f.Flat }),
		Cumulative: largest(all, top, func(f *Function) int { return f.Cumulative }),
	}
}

func (t *tally) count(stack, depth, n int) {
	if depth == 0 {
		t.flat += n
	}
	if t.last != stack {
		t.last = stack
		t.cumulative += n
	}
}

// largest returns the functions with the largest values, without zeros. It
// keeps no more than it returns: a program has many thousands of functions.
func largest(all []Function, top int, value func(*Function) int) []Function {
	before := func(a, b *Function) bool {
		if n, m := value(a), value(b); n != m {
			return n > m
		}
		if a.Cumulative+a.Flat != b.Cumulative+b.Flat {
			return a.Cumulative+a.Flat > b.Cumulative+b.Flat
		}
		return a.Name < b.Name
	}
	var kept []Function
	for i := range all {
		f := &all[i]
		if value(f) == 0 || len(kept) == top && !before(f, &kept[top-1]) {
			continue
		}
		at := sort.Search(len(kept), func(j int) bool { return before(f, &kept[j]) })
		kept = slices.Insert(kept[:min(len(kept), top-1)], at, *f)
	}
	return kept
}
