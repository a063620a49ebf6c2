package main

import (
	"image/color"

	"gonum.org/v1/plot/vg/draw"
)

// A drawing is an SVG file: a panel for each shape, with one legend for all.
// In each, the number of goroutines goes to the right and a figure upwards,
// both in logarithms.
type drawing struct {
	file, title string
	axis        string
	unit        func(float64) string
	figure      func(sample) float64
	lines       []line
	panels      []panel
}

// A panel is the results of one shape, small ones first.
type panel struct {
	title   string
	results []*result
}

// A line is what a method looks like. Signs and dashes tell the lines apart for
// who does not see the colours.
type line struct {
	method, label string
	colour        color.RGBA
	sign          draw.GlyphDrawer
	dashed        bool
}

// The colours are those of Okabe and Ito, which were chosen for people who
// confuse some colours.
var (
	black     = color.RGBA{A: 255}
	orange    = color.RGBA{230, 159, 0, 255}
	skyBlue   = color.RGBA{86, 180, 233, 255}
	green     = color.RGBA{0, 158, 115, 255}
	blue      = color.RGBA{0, 114, 178, 255}
	vermilion = color.RGBA{213, 94, 0, 255}
	purple    = color.RGBA{204, 121, 167, 255}
	pale      = color.RGBA{215, 215, 215, 255}
)

// lookLines are what we offer and what others do. The parts of our snapshot are
// left to the tables. Ours is the last, so that it is drawn over the others.
var lookLines = []line{
	{textPanic, "pprof debug=2 + panicparse", black, draw.PlusGlyph{}, true},
	{textParse, "pprof debug=2 + gostackparse", green, draw.BoxGlyph{}, false},
	{leakProof, "runtime's leak profile", orange, draw.CrossGlyph{}, true},
	{pprofParse, "pprof debug=0", blue, draw.PyramidGlyph{}, false},
	{pprofText, "pprof debug=1 (text)", skyBlue, draw.SquareGlyph{}, true},
	{records, "GoroutineProfile, fresh", purple, draw.TriangleGlyph{}, true},
	{recordsAgain, "GoroutineProfile, reused", purple, draw.BoxGlyph{}, false},
	{oursProfile, "our fallback (profile)", vermilion, draw.RingGlyph{}, true},
	{ours, "our snapshot", vermilion, draw.CircleGlyph{}, false},
}

var readingLines = []line{
	{readGoAll, "client_golang, all metrics", green, draw.BoxGlyph{}, true},
	{readGo, "client_golang, Go collector", blue, draw.PyramidGlyph{}, false},
	{readContrib, "contrib's instrumentation", purple, draw.SquareGlyph{}, true},
	{readOurs, "our instruments", vermilion, draw.CircleGlyph{}, false},
}

// bold reports whether a line is the one that it is all about.
func (l line) bold() bool { return l.method == ours || l.method == readOurs }

// drawingsOf returns what there is to draw of looks, in the base shape and in
// the others side by side, and of readings.
func drawingsOf(results []result) []drawing {
	all := []drawing{
		{file: "time", title: "Time of one look at all goroutines", axis: "time", unit: inSeconds, figure: wallSeconds},
		{file: "stop", title: "Longest stop of the world during one look", axis: "stop", unit: inSeconds, figure: stopSeconds},
		{file: "allocated", title: "Memory allocated by one look", axis: "allocated", unit: inBytes, figure: bytesAllocated},
	}
	for _, d := range all {
		d.file += "-shapes"
		d.panels = otherShapes(results)
		all = append(all, d)
	}
	for i := range all {
		all[i].lines = lookLines
		if all[i].panels == nil {
			all[i].title += " (" + baseShape + ")"
			all[i].panels = panelOf("", bySize(results, baseShape, false))
		}
	}
	return append(all, drawing{
		file: "reading", title: "Time of one collection of metrics", axis: "time", unit: inSeconds, figure: wallSeconds,
		lines: readingLines, panels: panelOf("", bySize(results, readingShape, true)),
	})
}

func wallSeconds(s sample) float64    { return s.Wall.Seconds() }
func stopSeconds(s sample) float64    { return s.Stop.Seconds() }
func bytesAllocated(s sample) float64 { return float64(s.Allocated) }

// panelOf returns a panel, unless there is nothing to see in it.
func panelOf(title string, results []*result) []panel {
	if len(results) == 0 {
		return nil
	}
	return []panel{{title, results}}
}

func otherShapes(results []result) []panel {
	panels := []panel{}
	for _, s := range shapes {
		if s.name != baseShape {
			panels = append(panels, panelOf(s.name, bySize(results, s.name, false))...)
		}
	}
	return panels
}
