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
	phone []image.Image // shown side by side
}

// TestPictures makes the pictures of the documents again, of the example as it runs,
// and records what they were made of. It takes three minutes and runs only if the
// variable PICTURES is set.
func TestPictures(t *testing.T) {
	if os.Getenv(pictures.Variable) == "" {
		return
	}
	a := &album{t: t}
	a.pictureFaults()
	a.pictureHealth()
	a.save("live-page-phone.png", sideBySide(a.phone))
	slices.Sort(a.names)
	require.NoError(t, pictures.Write(filepath.Join("..", ".."), a.names))
}

// pictureFaults pictures the first seconds of a service, and its faults.
func (a *album) pictureFaults() {
	url := startExample(a.t, "1s")
	desktop := open(a.t, screens[0], url)
	desktop.until("page.snapshot && page.history.time.length >= 3 && page.counts.length > 2")
	before := a.dump(url)
	a.desktop(desktop, "live-page-first-minute.png")
	a.phones(open(a.t, screens[3], url))

	desktop.until("page.findings.length === 4")
	desktop.until("page.findings.every((f) => f.severity !== 'info') && page.findings[0].participants.length === 3")
	desktop.until("page.history.time.length > 70") // the leak is seen
	a.desktop(desktop, "live-page.png")
	a.desktop(open(a.t, screens[1], url), "live-page-dark.png")
	a.phones(open(a.t, screens[2], url))
	a.phones(open(a.t, screens[3], url))
	a.pictureGraph(desktop)
	a.pictureStack(desktop)
	a.pictureReport(before, a.dump(url))
}

func (a *album) pictureHealth() {
	url := startExample(a.t, "1s", "-faults", "none")
	p := open(a.t, screens[0], url)
	p.until("page.history.time.length > 40")
	p.until("sightNow().judging === sightNow().detectors.length && !page.open")
	a.desktop(p, "live-page-healthy.png")
	a.phones(open(a.t, screens[2], url))
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

// pictureReport pictures the HTML report of two goroutine dumps.
func (a *album) pictureReport(before, after []byte) {
	dir := a.t.TempDir()
	command, report := filepath.Join(dir, "goroutines"), filepath.Join(dir, "report.html")
	build := exec.Command("go", "build", "-o", command, ".")
	build.Dir = filepath.Join("..", "..", "cmd", "goroutines")
	out, err := build.CombinedOutput()
	require.NoError(a.t, err, "%s", out)
	require.NoError(a.t, os.WriteFile(filepath.Join(dir, "before.txt"), before, 0o600))
	require.NoError(a.t, os.WriteFile(filepath.Join(dir, "after.txt"), after, 0o600))
	run := exec.Command(command, "report", "--format", "html", "-o", report, "before.txt", "after.txt")
	run.Dir = dir
	out, err = run.CombinedOutput()
	require.NoError(a.t, err, "%s", out)
	p := open(a.t, screens[0], "file://"+report)
	p.until("document.querySelector('.finding')")
	a.save("html-report.png", a.shot(p))
}

// dump returns a goroutine dump of the program with a page.
func (a *album) dump(url string) []byte {
	response, err := http.Get(strings.TrimSuffix(url, "goroutines/") + "pprof/goroutine?debug=2")
	require.NoError(a.t, err)
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	require.NoError(a.t, err)
	return content
}

// shown is true once the page has everything and its chart is drawn.
const shown = "page.source && page.source.readyState === 1 && page.snapshot && page.counts.length > 2 && document.querySelector('#chart canvas')"

func (a *album) desktop(p *tab, name string) {
	p.until(shown)
	a.save(name, a.shot(p))
}

func (a *album) phones(p *tab) {
	p.until(shown)
	a.phone = append(a.phone, a.shot(p))
}

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

// reduced returns a picture with the most frequent 256 colours of another. The others,
// which smooth the edges of letters, become the nearest of them.
func reduced(picture image.Image) image.Image {
	counts := make(map[color.RGBA]int)
	each(picture, func(_, _ int, c color.RGBA) { counts[c]++ })
	frequent := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(brightness(a), brightness(b)))
	})
	var palette color.Palette
	for _, c := range frequent[:min(len(frequent), 256)] {
		palette = append(palette, c)
	}
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

func brightness(c color.RGBA) int { return int(c.R)<<16 | int(c.G)<<8 | int(c.B) }

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
