package main

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// drawAll writes the drawings that there is something to see in.
func drawAll(results []result, dir string) error {
	var errs []error
	for _, d := range drawingsOf(results) {
		if d.empty() {
			continue
		}
		svg, err := d.svg()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, d.file+".svg"), svg, 0o666)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("-plot: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Measures of a drawing, in points.
const (
	legendWidth = 200
	titleHeight = 54
	margin      = 10
)

// svg renders a drawing. It is white, whatever it is shown on.
func (d *drawing) svg() ([]byte, error) {
	cols, rows, width, height := d.layout()
	canvas := vgsvg.New(vg.Length(cols)*width+legendWidth, vg.Length(rows)*height+titleHeight)
	whole := draw.New(canvas)
	whole.SetColor(color.White)
	whole.Fill(whole.Rectangle.Path())
	write(&whole, 14, 0, d.title)
	write(&whole, 10, 18, "Medians, with bars from the least to the most. Both axes are logarithmic.")

	grid, legend, err := d.plots(cols, rows)
	if err != nil {
		return nil, err
	}
	tiles := draw.Tiles{Cols: cols, Rows: rows, PadX: 14, PadY: 14}
	area := draw.Crop(whole, margin, -legendWidth, margin, -titleHeight)
	for y, row := range plot.Align(grid, tiles, area) {
		for x, tile := range row {
			if grid[y][x] != nil {
				grid[y][x].Draw(tile)
			}
		}
	}
	legend.Draw(draw.Crop(whole, whole.Max.X-legendWidth+margin, 0, 0, -titleHeight-margin))

	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return nil, err
	}
	return withFonts(b.Bytes()), nil
}

// write writes a line, so far below the top of a canvas.
func write(c *draw.Canvas, size, below vg.Length, line string) {
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

// layout returns how many panels there are in a row and in a column, and how
// large one is.
func (d *drawing) layout() (cols, rows int, width, height vg.Length) {
	if len(d.panels) == 1 {
		return 1, 1, 460, 330
	}
	cols = min(len(d.panels), 3)
	return cols, (len(d.panels) + cols - 1) / cols, 240, 230
}

// plots returns the panels in rows, all with the same axes, and the legend.
func (d *drawing) plots(cols, rows int) ([][]*plot.Plot, *plot.Legend, error) {
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, cols)
	}
	legend := plot.NewLegend()
	legend.TextStyle.Font = sans(10)
	legend.Top, legend.Left, legend.ThumbnailWidth, legend.Padding = true, true, 28, 5
	across, up := d.extent()
	shown := make(map[string]bool)
	for i, panel := range d.panels {
		p := d.axes(panel.title, across, up)
		for _, l := range d.lines {
			drawn, err := d.add(p, l, panel.results, up.least)
			if err != nil {
				return nil, nil, err
			}
			if drawn != nil && !shown[l.label] {
				shown[l.label] = true
				legend.Add(l.label, drawn...)
			}
		}
		if i%cols > 0 {
			p.Y.Label.Text = ""
		}
		if i+cols < len(d.panels) {
			p.X.Label.Text = ""
		}
		grid[i/cols][i%cols] = p
	}
	return grid, &legend, nil
}

// add draws the line of a method, its signs at the medians and bars from the
// least to the most, and returns what the legend shows of it.
func (d *drawing) add(p *plot.Plot, l line, results []*result, floor float64) ([]plot.Thumbnailer, error) {
	points := d.points(l.method, results, floor)
	if len(points.XYs) == 0 {
		return nil, nil
	}
	path, signs, err := plotter.NewLinePoints(points.XYs)
	if err != nil {
		return nil, err
	}
	bars, err := plotter.NewYErrorBars(points)
	if err != nil {
		return nil, err
	}
	path.Color, bars.Color = l.colour, l.colour
	path.Width, bars.Width, bars.CapWidth = 1.2, 0.7, 4
	signs.GlyphStyle = draw.GlyphStyle{Color: l.colour, Radius: 3, Shape: l.sign}
	if l.dashed {
		path.Dashes = []vg.Length{4, 3}
	}
	if l.bold() {
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
// reach down to nothing ends at the floor.
func (d *drawing) points(method string, results []*result, floor float64) bars {
	var b bars
	for _, r := range results {
		m := r.method(method)
		if m == nil {
			continue
		}
		s := spreadOf(m, d.figure)
		if s.median <= 0 {
			continue
		}
		b.XYs = append(b.XYs, plotter.XY{X: float64(r.Size), Y: s.median})
		b.YErrors = append(b.YErrors, struct{ Low, High float64 }{s.median - max(s.least, floor), s.most - s.median})
	}
	return b
}

// A stretch is a part of an axis.
type stretch struct{ least, most float64 }

func (s *stretch) take(v float64) {
	if v > 0 {
		s.least, s.most = min(s.least, v), max(s.most, v)
	}
}

// extent returns the stretches that everything is in. The one upwards is of
// whole powers of ten.
func (d *drawing) extent() (across, up stretch) {
	across, up = stretch{math.Inf(1), 0}, stretch{math.Inf(1), 0}
	for _, p := range d.panels {
		for _, r := range p.results {
			for _, l := range d.lines {
				if m := r.method(l.method); m != nil {
					s := spreadOf(m, d.figure)
					across.take(float64(r.Size))
					up.take(s.least)
					up.take(s.median)
					up.take(s.most)
				}
			}
		}
	}
	up.least = math.Pow(10, math.Floor(math.Log10(up.least)))
	up.most = math.Pow(10, math.Ceil(math.Log10(up.most)))
	return stretch{across.least / 1.4, across.most * 1.4}, up
}

// empty reports whether there is nothing that can be shown in logarithms.
func (d *drawing) empty() bool {
	_, up := d.extent()
	return up.most == 0
}

// axes returns an empty panel.
func (d *drawing) axes(title string, across, up stretch) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.Title.TextStyle.Font = title, sans(11)
	p.X.Label.Text, p.Y.Label.Text = "goroutines", d.axis
	p.X.Min, p.X.Max = across.least, across.most
	p.Y.Min, p.Y.Max = up.least, up.most
	p.X.Tick.Marker, p.Y.Tick.Marker = decades(inThousands), decades(d.unit)
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

// decades has a mark with a label at each power of ten.
type decades func(float64) string

// Ticks implements [plot.Ticker].
func (label decades) Ticks(least, most float64) []plot.Tick {
	var ticks []plot.Tick
	for power := math.Floor(math.Log10(least)); power <= math.Ceil(math.Log10(most)); power++ {
		v := math.Pow(10, power)
		ticks = append(ticks, plot.Tick{Value: v, Label: label(v)})
	}
	return ticks
}

func inSeconds(v float64) string   { return scaled(v*1e9, "ns", "µs", "ms", "s") }
func inBytes(v float64) string     { return scaled(v, "B", "kB", "MB", "GB") }
func inThousands(v float64) string { return scaled(v, "", "k", "M") }

// scaled formats a power of ten in units, each a thousand times the one before.
func scaled(v float64, units ...string) string {
	v = math.Round(v)
	for len(units) > 1 && v >= 1000 {
		v, units = v/1000, units[1:]
	}
	text := strconv.FormatFloat(v, 'f', -1, 64)
	if len(units[0]) > 1 || units[0] == "B" || units[0] == "s" {
		text += " "
	}
	return text + units[0]
}
