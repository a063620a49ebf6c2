// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"slices"
)

// Functions counts the goroutines by function outside the standard library. Flat is
// how many goroutines are in the function itself, or in what it calls of the standard
// library. Cumulative is how many have the function anywhere on their stack; each
// goroutine counts once. Goroutines that have only the standard library on their stack
// count for their entry function, such as net/http.(*conn).serve.
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
	t := &functionTable{index: make(map[string]int, len(stacks))}
	for i := range stacks {
		t.count(i, &stacks[i])
	}
	list := make([]*Function, 0, len(t.rows))
	for i := range t.rows {
		f := &t.rows[i].Function
		if f.Cumulative == 0 { // of the standard library
			continue
		}
		f.FlatPercent, f.CumulativePercent = percent(f.Flat, total), percent(f.Cumulative, total)
		list = append(list, f)
	}
	return Functions{
		Distinct:   len(list),
		Flat:       largest(list, top, func(f *Function) int { return f.Flat }),
		Cumulative: largest(list, top, func(f *Function) int { return f.Cumulative }),
	}
}

// A functionTable counts goroutines by function.
type functionTable struct {
	index map[string]int // into rows, by name
	rows  []functionRow
}

type functionRow struct {
	Function
	standard bool
	last     int // stack counted last, from 1: a recursive function counts once
}

func (t *functionTable) row(f *Frame) *functionRow {
	i, ok := t.index[f.Function]
	if !ok {
		i = len(t.rows)
		t.index[f.Function] = i
		t.rows = append(t.rows, functionRow{Function: Function{Name: f.Function}, standard: f.standard()})
	}
	return &t.rows[i]
}

// count counts the i-th stack.
func (t *functionTable) count(i int, s *Stack) {
	flat := false
	for k := range s.Frames {
		row := t.row(&s.Frames[k])
		if row.standard {
			continue
		}
		if !flat {
			flat = true
			row.Flat += s.Count
		}
		t.cumulative(row, i, s)
	}
	if entry := entryFrame(s.Frames); !flat && entry >= 0 {
		row := t.row(&s.Frames[entry])
		row.Flat += s.Count
		t.cumulative(row, i, s)
	}
}

func (t *functionTable) cumulative(row *functionRow, i int, s *Stack) {
	if row.last != i+1 {
		row.last = i + 1
		row.Cumulative += s.Count
	}
}

// largest returns the functions with the largest values, without zeros.
func largest(all []*Function, top int, value func(*Function) int) []Function {
	list := slices.DeleteFunc(slices.Clone(all), func(f *Function) bool { return value(f) == 0 })
	slices.SortFunc(list, func(a, b *Function) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(b.Cumulative+b.Flat, a.Cumulative+a.Flat), cmp.Compare(a.Name, b.Name))
	})
	kept := make([]Function, min(len(list), top))
	for i := range kept {
		kept[i] = *list[i]
	}
	return kept
}
