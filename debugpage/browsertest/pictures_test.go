// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"bytes"
	"cmp"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/pictures"
)

// An album is the pictures that are made for the documents.
type album struct {
	t     *testing.T
	names []string
	tabs  []*tab        // that show the program that runs
	phone []image.Image // shown side by side
}

// TestPictures makes the pictures of the documents again, of the example as it runs,
// and records what they were made of if all are made. It runs only if the variable
// PICTURES is set.
func TestPictures(t *testing.T) {
	if os.Getenv(pictures.Variable) == "" {
		return
	}
	var names []string
	made := 0
	parts := map[string]func(*album){"page": (*album).picturePage, "terminal": (*album).pictureTerminal, "watch": (*album).pictureWatch}
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		t.Run(name, func(t *testing.T) {
			a := &album{t: t}
			parts[name](a)
			names = append(names, a.names...)
			made++
		})
	}
	if made < len(parts) { // some failed, or were not asked for
		return
	}
	slices.Sort(names)
	require.NoError(t, pictures.Write(filepath.Join("..", ".."), names))
}

func (a *album) picturePage() {
	a.pictureFaults()
	a.pictureHealth()
	a.save("live-page-phone.png", sideBySide(a.phone))
}

// open opens the page of a program. leave must be called before the program ends.
func (a *album) open(s screen, url string) *tab {
	p := open(a.t, s, url)
	a.tabs = append(a.tabs, p)
	p.until("page.source && page.source.readyState === 1 && page.counts.length > 2 && document.querySelector('#chart canvas')")
	return p
}

func (a *album) leave() {
	for _, p := range a.tabs {
		p.do(chromedp.Navigate("about:blank"))
	}
	a.tabs = nil
}

// pictureFaults pictures the first seconds of a service, and its faults.
func (a *album) pictureFaults() {
	url, dir := startExample(a.t, "1s"), a.t.TempDir()
	defer a.leave()
	desktop := a.open(screens[0], url)
	a.dump(url, filepath.Join(dir, "before.txt"))
	a.save("live-page-first-minute.png", a.shot(desktop))
	a.phones(screens[3], url)

	desktop.until("page.findings.length === 4")
	desktop.until("page.findings.every((f) => f.severity !== 'info') && page.findings[0].participants.length === 3")
	desktop.until("page.history.time.length > 70") // so that the chart has something to show
	a.save("live-page.png", a.shot(desktop))
	a.save("live-page-dark.png", a.shot(a.open(screens[1], url)))
	a.phones(screens[2], url)
	a.phones(screens[3], url)
	a.pictureGraph(desktop)
	a.pictureStack(desktop)
	a.dump(url, filepath.Join(dir, "after.txt"))
	a.pictureReport(dir)
}

func (a *album) pictureHealth() {
	url := startExample(a.t, "1s", "-faults", "none")
	defer a.leave()
	p := a.open(screens[0], url)
	p.until("page.history.time.length > 40")
	p.until("sightNow().judging === sightNow().detectors.length && !page.open")
	a.save("live-page-healthy.png", a.shot(p))
	a.phones(screens[2], url)
}

func (a *album) pictureGraph(p *tab) {
	eval[chromedp.Void](p, "window.scrollTo(0, byID('icicle-title').getBoundingClientRect().top + scrollY - 140)")
	a.save("live-page-graph.png", a.shot(p))
	eval[chromedp.Void](p, "window.scrollTo(0, 0)")
}

func (a *album) pictureStack(p *tab) {
	p.clickUntil(".finding[open] button", "byID('detail').open && dump")
	a.save("live-page-stack.png", a.shot(p))
}

// pictureReport pictures the HTML report of the two goroutine dumps in a folder.
func (a *album) pictureReport(dir string) {
	report := filepath.Join(dir, "report.html")
	run := exec.Command(built(a.t, filepath.Join("cmd", "goroutines")), "report", "--format", "html", "-o", report, "before.txt", "after.txt")
	run.Dir = dir
	out, err := run.CombinedOutput()
	require.NoError(a.t, err, "%s", out)
	p := open(a.t, screens[0], "file://"+report)
	p.until("document.querySelector('.finding')")
	a.save("html-report.png", a.shot(p))
}

// dump saves a goroutine dump of the program with a page. When it was taken is the
// time of the file.
func (a *album) dump(url, file string) {
	response, err := http.Get(strings.TrimSuffix(url, "goroutines/") + "pprof/goroutine?debug=2")
	require.NoError(a.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(a.t, err)
	require.NoError(a.t, os.WriteFile(file, content, 0o600))
}

func (a *album) phones(s screen, url string) { a.phone = append(a.phone, a.shot(a.open(s, url))) }

// shot returns what the window shows.
func (a *album) shot(p *tab) image.Image {
	content, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	require.NoError(a.t, err)
	picture, err := png.Decode(bytes.NewReader(content))
	require.NoError(a.t, err)
	return picture
}

// save writes a picture with at most 256 colours, which is a third of the size.
func (a *album) save(name string, picture image.Image) {
	var b bytes.Buffer
	require.NoError(a.t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, reduced(picture)))
	require.NoError(a.t, os.WriteFile(filepath.Join("..", "..", pictures.Dir, name), b.Bytes(), 0o644))
	a.names = append(a.names, name)
}

// reduced returns a picture with at most 256 of the colours of another: the most
// frequent one of each shade first, so that rare shades are kept, then the most
// frequent of all. The others, which smooth the edges of letters, become the nearest.
func reduced(picture image.Image) image.Image {
	counts := make(map[color.RGBA]int)
	each(picture, func(_, _ int, c color.RGBA) { counts[c]++ })
	shades := make(map[color.RGBA]bool)
	var palette, rest color.Palette
	for _, c := range slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(number(a), number(b)))
	}) {
		shade := color.RGBA{c.R >> 5, c.G >> 5, c.B >> 5, 0}
		if shades[shade] {
			rest = append(rest, c)
			continue
		}
		shades[shade] = true
		palette = append(palette, c)
	}
	palette = slices.Concat(palette, rest)
	return recoloured(picture, palette[:min(len(palette), 256)])
}

func recoloured(picture image.Image, palette color.Palette) image.Image {
	nearest := make(map[color.RGBA]uint8)
	out := image.NewPaletted(picture.Bounds(), palette)
	each(picture, func(x, y int, c color.RGBA) {
		i, known := nearest[c]
		if !known {
			i = uint8(palette.Index(c))
			nearest[c] = i
		}
		out.SetColorIndex(x, y, i)
	})
	return out
}

func number(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

func each(picture image.Image, do func(x, y int, c color.RGBA)) {
	b := picture.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			do(x, y, color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA))
		}
	}
}

// sideBySide returns one picture of several, with a gap between them.
func sideBySide(all []image.Image) image.Image {
	const gap = 20
	width, height := -gap, 0
	for _, p := range all {
		width += gap + p.Bounds().Dx()
		height = max(height, p.Bounds().Dy())
	}
	out := image.NewRGBA(image.Rect(0, 0, width, height))
	draw.Draw(out, out.Bounds(), image.NewUniform(color.Gray{Y: 0x80}), image.Point{}, draw.Src)
	x := 0
	for _, p := range all {
		draw.Draw(out, p.Bounds().Add(image.Pt(x, 0)), p, image.Point{}, draw.Src)
		x += p.Bounds().Dx() + gap
	}
	return out
}
