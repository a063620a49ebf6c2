// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// A drawing is an SVG file: a panel for each shape, with one legend for all.
// In each, the number of goroutines goes to the right and a figure upwards,
// both in logarithms.
type drawing struct {
	file, title, axis, unit string
	figure                  func(sample) float64
	lines                   []line
	shapes                  []string // a panel for each
	reading                 bool
}

// A line is how a method is drawn. Signs and dashes tell the lines apart for
// readers who do not see the colours.
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

// snapshotLines are what we offer and what others do. The parts of our snapshot
// are left to the tables. Ours is the last, so that it is drawn over the others.
var snapshotLines = []line{
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

func seconds(figure func(sample) time.Duration) func(sample) float64 {
	return func(s sample) float64 { return figure(s).Seconds() }
}

// drawings returns what is drawn: of snapshots in the base shape and in the
// others side by side, and of readings.
func drawings() (all []drawing) {
	others := slices.DeleteFunc(shapeNames(), func(name string) bool { return name == baseShape })
	for _, d := range []drawing{
		{file: "time", title: "Time of one snapshot of all goroutines", axis: "time", unit: "s", figure: seconds(wall)},
		{file: "stop", title: "Longest stop of the world during one snapshot", axis: "stop", unit: "s", figure: seconds(stop)},
		{file: "allocated", title: "Memory allocated by one snapshot", axis: "allocated", unit: "B", figure: func(s sample) float64 { return float64(s.Allocated) }},
	} {
		d.lines = snapshotLines
		side := d
		side.file, side.shapes = d.file+"-shapes", others
		d.title, d.shapes = d.title+" ("+baseShape+")", []string{baseShape}
		all = append(all, d, side)
	}
	return append(all, drawing{file: "reading", title: "Time of one collection of metrics", axis: "time", unit: "s",
		figure: seconds(wall), lines: readingLines, shapes: []string{readingShape}, reading: true})
}

// drawAll does what the flag -plot says, unless dir is empty: it writes the
// drawings that there is something to see in.
func drawAll(results []result, dir string) (failed error) {
	if dir == "" {
		return nil
	}
	for _, d := range drawings() {
		svg, err := d.svg(results)
		if err == nil && svg != nil {
			err = os.WriteFile(filepath.Join(dir, d.file+".svg"), svg, 0o666)
		}
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("-plot: %w", err))
		}
	}
	return failed
}

// Measures of a drawing, in points.
const (
	legendWidth = 200
	titleHeight = 54
	margin      = 10
)

// svg renders a drawing, or nothing where there is nothing to see. It is white,
// whatever it is shown on.
func (d *drawing) svg(results []result) ([]byte, error) {
	panels, legend, err := d.panels(results)
	if err != nil || len(panels) == 0 {
		return nil, err
	}
	cols, width, height := min(len(panels), 3), vg.Length(240), vg.Length(230)
	if len(panels) == 1 {
		width, height = 460, 330
	}
	rows := (len(panels) + cols - 1) / cols
	canvas := vgsvg.New(vg.Length(cols)*width+legendWidth, vg.Length(rows)*height+titleHeight)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	caption(&whole, 14, 0, d.title)
	caption(&whole, 10, 18, "Medians, with bars from the least to the most. Both axes are logarithmic.")
	for i, p := range panels {
		p.Y.Label.Text = map[bool]string{true: d.axis}[i%cols == 0]
		p.X.Label.Text = map[bool]string{true: "goroutines"}[i+cols >= len(panels)]
	}
	grid := slices.Collect(slices.Chunk(slices.Concat(panels, make([]*plot.Plot, rows*cols-len(panels))), cols))
	tiles := plot.Align(grid, draw.Tiles{Cols: cols, Rows: rows, PadX: 14, PadY: 14}, draw.Crop(whole, margin, -legendWidth, margin, -titleHeight))
	for i, p := range panels {
		p.Draw(tiles[i/cols][i%cols])
	}
	legend.Draw(draw.Crop(whole, whole.Max.X-legendWidth+margin, 0, 0, -titleHeight-margin))
	var b bytes.Buffer
	_, err = canvas.WriteTo(&b)
	return withFonts(b.Bytes()), err
}

// caption writes a line, so far below the top of a canvas.
func caption(c *draw.Canvas, size, below vg.Length, line string) {
	style := plot.New().Title.TextStyle
	style.Font = sans(size)
	style.XAlign, style.YAlign = draw.XLeft, draw.YTop
	c.FillText(style, vg.Point{X: 2 * margin, Y: c.Max.Y - margin - below}, line)
}

// withFonts names the fonts once, instead of with each text, and adds others to
// them whose letters are as wide as those that were reckoned with.
func withFonts(svg []byte) []byte {
	svg = bytes.ReplaceAll(svg, []byte("font-family:Liberation Sans;font-variant:normal;font-weight:normal;font-style:normal;"), nil)
	return bytes.Replace(svg, []byte("<svg "), []byte("<svg font-family=\"Liberation Sans,Arial,Helvetica,sans-serif\" "), 1)
}

// panels returns the panels that have lines, all with the same axes, and the
// legend.
func (d *drawing) panels(results []result) (panels []*plot.Plot, legend plot.Legend, err error) {
	legend = plot.NewLegend()
	legend.TextStyle.Font = sans(10)
	legend.Top, legend.Left, legend.ThumbnailWidth, legend.Padding = true, true, 28, 5
	shown := make(map[string]bool)
	for _, shape := range d.shapes {
		p, empty := d.axes(), true
		if len(d.shapes) > 1 {
			p.Title.Text = shape
		}
		for _, l := range d.lines {
			points := d.points(l.method, bySize(results, shape, d.reading))
			if len(points.XYs) == 0 {
				continue
			}
			sign, err := l.add(p, points)
			if err != nil {
				return nil, legend, err
			}
			if empty = false; !shown[l.label] {
				shown[l.label] = true
				legend.Add(l.label, sign...)
			}
		}
		if !empty {
			panels = append(panels, p)
		}
	}
	align(panels)
	return panels, legend, nil
}

// align gives all panels the axes that all lines are within: upwards of whole
// powers of ten.
func align(panels []*plot.Plot) {
	x, y := plot.Axis{Min: math.Inf(1)}, plot.Axis{Min: math.Inf(1)}
	for _, p := range panels {
		x.Min, x.Max = min(x.Min, p.X.Min), max(x.Max, p.X.Max)
		y.Min, y.Max = min(y.Min, p.Y.Min), max(y.Max, p.Y.Max)
	}
	for _, p := range panels {
		p.X.Min, p.X.Max = x.Min/1.4, x.Max*1.4
		p.Y.Min, p.Y.Max = decade(math.Floor, y.Min), decade(math.Ceil, y.Max)
	}
}

// decade rounds to a power of ten.
func decade(round func(float64) float64, v float64) float64 {
	return math.Pow(10, round(math.Log10(v)))
}

// add draws a line, its signs at the medians and bars from the least to the
// most, and returns what the legend shows of it.
func (l *line) add(p *plot.Plot, points bars) ([]plot.Thumbnailer, error) {
	path, signs, err := plotter.NewLinePoints(points.XYs)
	bars, bad := plotter.NewYErrorBars(points)
	if err := errors.Join(err, bad); err != nil {
		return nil, err
	}
	path.Color, bars.Color = l.colour, l.colour
	path.Width, bars.Width, bars.CapWidth = 1.2, 0.7, 4
	signs.GlyphStyle = draw.GlyphStyle{Color: l.colour, Radius: 3, Shape: l.sign}
	if l.dashed {
		path.Dashes = []vg.Length{4, 3}
	}
	if l.method == ours || l.method == readOurs { // what it is all about
		path.Width, bars.Width, signs.Radius = 3, 1.5, 4
	}
	p.Add(bars, path, signs)
	return []plot.Thumbnailer{path, signs}, nil
}

// bars are points with their errors.
type bars struct {
	plotter.XYs
	plotter.YErrors
}

// points returns the medians that can be shown in logarithms. A bar that would
// reach down to nothing ends at the power of ten below its median.
func (d *drawing) points(method string, results []*result) (b bars) {
	for _, r := range results {
		m := r.method(method)
		if m == nil {
			continue
		}
		s := spreadOf(m, d.figure)
		if s.median <= 0 {
			continue
		}
		if s.least <= 0 {
			s.least = decade(math.Floor, s.median)
		}
		b.XYs = append(b.XYs, plotter.XY{X: float64(r.Size), Y: s.median})
		b.YErrors = append(b.YErrors, struct{ Low, High float64 }{s.median - s.least, s.most - s.median})
	}
	return b
}

// axes returns an empty panel.
func (d *drawing) axes() *plot.Plot {
	p := plot.New()
	p.Title.TextStyle.Font = sans(11)
	p.X.Tick.Marker, p.Y.Tick.Marker = decades(""), decades(d.unit)
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Scale = plot.LogScale{}
		a.Padding = 0
		a.Label.TextStyle.Font = sans(10)
		a.Tick.Label.Font = sans(9)
		a.Tick.Length = 4
	}
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = pale, pale
	p.Add(grid)
	return p
}

func sans(size vg.Length) font.Font {
	return font.Font{Typeface: "Liberation", Variant: "Sans", Size: size}
}

// decades has a mark at each power of ten, with a label in a unit.
type decades string

// Ticks implements [plot.Ticker].
func (unit decades) Ticks(least, most float64) (ticks []plot.Tick) {
	for v := decade(math.Floor, least); v < most*1.001; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: strings.TrimSpace(humanize.SIWithDigits(v, 0, string(unit)))})
	}
	return ticks
}
