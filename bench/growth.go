package main

import (
	"bytes"
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat"

	"github.com/otelgoroutine/go/bench/internal/lab"
)

// leastGrown is the number of goroutines from which on growth is looked at:
// below it, what a look costs whatever their number hides it.
const leastGrown = 10_000

// printGrowth writes how the time of each method grows with the goroutines.
func printGrowth(b *bytes.Buffer, all []*result) {
	if len(all) == 0 || !grown(all) {
		return
	}
	fmt.Fprintf(b, "\n## Growth, %s\n\nTime grows with this power of the number of goroutines (least squares of the logarithms, from %s on), and is this much for each:\n\n", baseShape, lab.Thousands(leastGrown))
	head := []string{"method", "power"}
	for _, r := range all {
		head = append(head, "of "+lab.Thousands(r.Size))
	}
	rows := [][]string{head}
	for _, m := range all[0].Methods {
		if power, told := exponent(all, m.Name); told {
			rows = append(rows, growthRow(all, m.Name, power))
		}
	}
	writeTable(b, rows)
}

func growthRow(all []*result, name string, power float64) []string {
	row := []string{name, lab.Digits(power)}
	for _, r := range all {
		cell := "–"
		if m := r.method(name); m != nil {
			cell = fmt.Sprintf("%.0f ns", float64(spreadOf(m, wall).median)/float64(r.Size))
		}
		row = append(row, cell)
	}
	return row
}

// exponent fits time = a × goroutines^exponent to the medians of a method.
func exponent(all []*result, name string) (float64, bool) {
	var x, y []float64
	for _, r := range all {
		if m := r.method(name); m != nil && r.Size >= leastGrown {
			x = append(x, math.Log(float64(r.Size)))
			y = append(y, math.Log(float64(spreadOf(m, wall).median)))
		}
	}
	if len(x) < 2 || name == nothing {
		return 0, false
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	return slope, true
}

// grown reports whether there is growth to look at.
func grown(all []*result) bool {
	_, told := exponent(all, ours)
	return told
}
