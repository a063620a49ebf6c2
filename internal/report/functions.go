package report

import (
	"cmp"
	"slices"
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

func functionsOf(stacks []Stack, total, top int) Functions {
	tallies := make(map[string]*tally)
	for i := range stacks {
		for depth := range stacks[i].Frames {
			name := stacks[i].Frames[depth].Function
			t := tallies[name]
			if t == nil {
				t = new(tally)
				tallies[name] = t
			}
			t.count(i+1, depth, stacks[i].Count)
		}
	}
	all := make([]Function, 0, len(tallies))
	for name, t := range tallies {
		all = append(all, Function{name, t.flat, percent(t.flat, total), t.cumulative, percent(t.cumulative, total)})
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

// largest returns the functions with the largest values, without zeros.
func largest(all []Function, top int, value func(*Function) int) []Function {
	slices.SortFunc(all, func(a, b Function) int {
		return cmp.Or(
			cmp.Compare(value(&b), value(&a)),
			cmp.Compare(b.Cumulative, a.Cumulative), cmp.Compare(b.Flat, a.Flat), cmp.Compare(a.Name, b.Name))
	})
	n := 0
	for n < min(len(all), top) && value(&all[n]) > 0 {
		n++
	}
	return slices.Clone(all[:n])
}
