package report

import (
	"cmp"
	"slices"
)

// Functions counts the goroutines by function. Flat is how many goroutines are
// in the function itself, which means that it is the innermost function outside
// the runtime. Cumulative is how many have the function anywhere on their
// stack; each goroutine counts once.
type Functions struct {
	Distinct   int        `json:"distinct"`   // number of functions on all stacks
	Flat       []Function `json:"flat"`       // largest by Flat
	Cumulative []Function `json:"cumulative"` // largest by Cumulative
}

// A Function is one row of Functions.
type Function struct {
	Name              string  `json:"name"`
	Flat              int     `json:"flat"`
	FlatPercent       float64 `json:"flat_percent"`
	Cumulative        int     `json:"cumulative"`
	CumulativePercent float64 `json:"cumulative_percent"`
}

// FunctionsOf counts the goroutines of stacks by function. total is the number
// of goroutines in all. FunctionsOf returns the largest functions, at most top
// in each list.
func FunctionsOf(stacks []Stack, total, top int) Functions {
	index := make(map[string]int, len(stacks))
	var all []Function
	var last []int // by function, the last stack counted: a recursive function counts once
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
