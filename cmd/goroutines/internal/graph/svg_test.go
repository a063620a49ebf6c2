// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package graph

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors/detectortest"
	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

// A box is a call or a state as drawn.
type box struct {
	Title string `xml:"title"`
	Rect  struct {
		X      float64 `xml:"x,attr"`
		Y      float64 `xml:"y,attr"`
		Width  float64 `xml:"width,attr"`
		Height float64 `xml:"height,attr"`
		Fill   string  `xml:"fill,attr"`
	} `xml:"rect"`
	Text string `xml:"text"`
}

// name returns the function or the state, which is the first line of the title.
func (b box) name() string { name, _, _ := strings.Cut(b.Title, "\n"); return name }

type drawing struct {
	Width  float64  `xml:"width,attr"`
	Height float64  `xml:"height,attr"`
	Texts  []string `xml:"text"`
	Boxes  []box    `xml:"g"`
}

// find returns the only box with a name.
func (d drawing) find(t *testing.T, name string) box {
	t.Helper()
	i := slices.IndexFunc(d.Boxes, func(b box) bool { return b.name() == name })
	require.GreaterOrEqual(t, i, 0, name)
	return d.Boxes[i]
}

// draw returns the graph of a process, both as text and parsed.
func draw(t *testing.T, p *detectortest.Process) ([]byte, drawing) {
	t.Helper()
	r := report.New([]*goroutine.Snapshot{p.Snapshot()}, nil, report.Options{Target: `http://host:6060/?a=1&b="2"`})
	var out bytes.Buffer
	require.NoError(t, SVG(&out, r))
	var d drawing
	require.NoError(t, xml.Unmarshal(out.Bytes(), &d), out.String())
	return out.Bytes(), d
}

// service returns a process with shared entry functions, names that need
// escaping, states of several categories, and one stack with a single goroutine
// among many.
func service() *detectortest.Process {
	p := detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.ChanReceive, "main.(*pool).work:30", "main.start:12"), 60)
	p.Go(detectortest.At(goroutine.MutexLock, "sync.(*Mutex).Lock:46", "main.(*cache).get:8", "main.(*pool).work:33", "main.start:12"), 25)
	p.Go(detectortest.At(goroutine.IOWait, "net/http.(*conn).serve:20"), 10)
	p.Go(detectortest.At(goroutine.Sleep, "example.com/lib.tick[go.shape.struct { A <-chan int; B *\"x\" }]:5"), 4)
	p.Go(detectortest.At(goroutine.Running, "main.main:3"), 1)
	return p
}

func TestGolden(t *testing.T) {
	got, _ := draw(t, service())
	golden := filepath.Join("testdata", "service.svg")
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got), "go test -update writes it anew; check it in a browser")
}

// TestAreas checks that a call is as wide as its share, lies within its caller,
// and overlaps none of its siblings.
func TestAreas(t *testing.T) {
	_, d := draw(t, service())
	const goroutines, usable = 100, width - 2*margin
	assert.InDelta(t, width, d.Width, 0)
	for name, count := range map[string]int{
		"main.start": 85, "main.(*pool).work": 85, "[chan receive]": 60, "main.(*cache).get": 25, "[sync.Mutex.Lock]": 25, "net/http.(*conn).serve": 10,
	} {
		b := d.find(t, name)
		assert.InDelta(t, float64(count)*usable/goroutines, b.Rect.Width, 0.1, name)
		assert.True(t, strings.HasSuffix(b.Title, fmt.Sprintf("%d goroutines, %d.0%%", count, count)), b.Title)
	}
	rows := make(map[float64][]box)
	for _, b := range d.Boxes {
		assert.InDelta(t, rowHeight, b.Rect.Height, 0)
		assert.GreaterOrEqual(t, b.Rect.X, float64(margin))
		assert.LessOrEqual(t, b.Rect.X+b.Rect.Width, width-margin+0.1)
		assert.LessOrEqual(t, b.Rect.Y+b.Rect.Height, d.Height)
		rows[b.Rect.Y] = append(rows[b.Rect.Y], b)
	}
	for y, row := range rows {
		slices.SortFunc(row, func(a, b box) int { return int(10 * (a.Rect.X - b.Rect.X)) })
		above := rows[y-rowHeight]
		for i, b := range row {
			if i > 0 {
				assert.LessOrEqual(t, row[i-1].Rect.X+row[i-1].Rect.Width, b.Rect.X+0.11, "%s overlaps", b.name())
			}
			within := func(a box) bool {
				return a.Rect.X <= b.Rect.X+0.1 && b.Rect.X+b.Rect.Width <= a.Rect.X+a.Rect.Width+0.2
			}
			assert.True(t, y == titleRoom || slices.ContainsFunc(above, within), "%s has no caller above", b.name())
		}
	}
	assert.Len(t, rows[titleRoom], 4, "the entry functions")
}

func TestTexts(t *testing.T) {
	_, d := draw(t, service())
	assert.Equal(t, `100 goroutines, http://host:6060/?a=1&b="2" 2026-01-01 00:00:00`, d.Texts[0])
	assert.Equal(t, "main.start", d.find(t, "main.start").Text)
	assert.Equal(t, "main.start\nmain/main.go:12\n85 goroutines, 85.0%", d.find(t, "main.start").Title)
	assert.Equal(t, "chan receive 60", d.find(t, "[chan receive]").Text)
	assert.Equal(t, "http.(*conn).serve", d.find(t, "net/http.(*conn).serve").Text, "without the path of the package")
	narrow := d.find(t, "[running]")
	assert.InDelta(t, 15.8, narrow.Rect.Width, 0.01)
	assert.Empty(t, narrow.Text, "there is no room")
	i := slices.IndexFunc(d.Boxes, func(b box) bool { return strings.HasPrefix(b.name(), "example.com/lib.tick[") })
	require.GreaterOrEqual(t, i, 0)
	assert.Contains(t, d.Boxes[i].name(), `<-chan int; B *"x"`)
	assert.True(t, strings.HasSuffix(d.Boxes[i].Text, "…"), "shortened: %q", d.Boxes[i].Text)
}

func TestColours(t *testing.T) {
	_, d := draw(t, service())
	for state, category := range map[string]string{
		"[chan receive]": "channel", "[sync.Mutex.Lock]": "mutex", "[IO wait]": "network", "[sleep]": "timer", "[running]": "running",
	} {
		assert.Equal(t, categoryColours[category], d.find(t, state).Rect.Fill, state)
	}
	start, get := d.find(t, "main.start").Rect.Fill, d.find(t, "main.(*cache).get").Rect.Fill
	assert.Regexp(t, `^hsl\(\d+,45%,8\d%\)$`, start)
	assert.Equal(t, start, get, "of one package")
	assert.NotEqual(t, start, d.find(t, "net/http.(*conn).serve").Rect.Fill)
	for _, s := range []goroutine.State{goroutine.Syscall, goroutine.Waiting, "a state of a later Go"} {
		assert.NotEmpty(t, categoryColours[string(s.Category())], s)
	}
}

// TestBounds uses deep stacks, and stacks too small to be seen.
func TestBounds(t *testing.T) {
	p := detectortest.NewProcess(1)
	deep := make([]string, 100)
	for i := range deep {
		deep[i] = fmt.Sprintf("main.f%d:1", i)
	}
	p.Go(detectortest.At(goroutine.Select, deep...), 1)
	_, d := draw(t, p)
	assert.Len(t, d.Boxes, maxDepth+1)
	assert.Equal(t, "main.f99", d.Boxes[0].name(), "the entry function is kept")
	assert.Equal(t, "[select]", d.Boxes[maxDepth].name())
	assert.InDelta(t, titleRoom+rowHeight*(maxDepth+2)+margin, d.Height, 0)

	p = detectortest.NewProcess(1)
	p.Go(detectortest.At(goroutine.Select, "main.many:1"), 10_000)
	p.Go(detectortest.At(goroutine.Select, "main.few:1"), 1)
	out, d := draw(t, p)
	assert.Len(t, d.Boxes, 2)
	assert.NotContains(t, string(out), "main.few")

	_, d = draw(t, detectortest.NewProcess(1))
	assert.Empty(t, d.Boxes)
	assert.Contains(t, d.Texts[0], "0 goroutines")
}

// TestSameGraphEachTime checks that the order does not depend on map iteration.
func TestSameGraphEachTime(t *testing.T) {
	first, _ := draw(t, service())
	for range 20 {
		again, _ := draw(t, service())
		require.Equal(t, string(first), string(again))
	}
}

func TestShort(t *testing.T) {
	for function, want := range map[string]string{
		"main.main":              "main.main",
		"net/http.(*conn).serve": "http.(*conn).serve",
		"example.com/lib.Map[example.com/x.T,int].Get": "lib.Map[example.com/x.T,int].Get",
		"x": "x",
	} {
		assert.Equal(t, want, short(function))
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestWriteError(t *testing.T) {
	assert.EqualError(t, SVG(fullDisk{}, report.New([]*goroutine.Snapshot{service().Snapshot()}, nil, report.Options{})), "no space left")
}
