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

// FunctionsOf counts the goroutines of some stacks, of which there are total in
// all, by function. It returns the largest, at most top of each list.
func FunctionsOf(stacks []Stack, total, top int) Functions {
	index := make(map[string]int, len(stacks))
	var all []Function
	var last []int // by function, the stack counted last: recursion counts once
	for i := range stacks {
		for depth := range stacks[i].Frames {
			name := stacks[i].Frames[depth].Function
			at, ok := index[name]
			if !ok {
				at = len(all)
				index[name] = at
				all, last = append(all, Function{Name: name}), append(last, -1)
			}
			if depth == 0 {
				all[at].Flat += stacks[i].Count
			}
			if last[at] != i {
				last[at] = i
				all[at].Cumulative += stacks[i].Count
			}
		}
	}
	for i := range all {
		f := &all[i]
		f.FlatPercent, f.CumulativePercent = percent(f.Flat, total), percent(f.Cumulative, total)
	}
	return Functions{
		Distinct:   len(all),
		Flat:       largest(all, top, func(f *Function) int { return f.Flat }),
		Cumulative: largest(all, top, func(f *Function) int { return f.Cumulative }),
	}
}

// largest returns the functions with the largest values, without zeros.
func largest(all []Function, top int, value func(*Function) int) []Function {
	list := make([]*Function, 0, len(all))
	for i := range all {
		if value(&all[i]) > 0 {
			list = append(list, &all[i])
		}
	}
	slices.SortFunc(list, func(a, b *Function) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(b.Cumulative+b.Flat, a.Cumulative+a.Flat), cmp.Compare(a.Name, b.Name))
	})
	kept := make([]Function, min(len(list), top))
	for i := range kept {
		kept[i] = *list[i]
	}
	return kept
}
