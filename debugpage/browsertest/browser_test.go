// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/realprograms"
)

// patience is how long the tests wait for something to appear. It limits only
// tests that fail.
const patience = 60 * time.Second

// browser is the browser shared by all tests.
var browser context.Context

func TestMain(m *testing.M) {
	if !realprograms.Wanted() {
		os.Exit(realprograms.Skip(m, "Chromium"))
	}
	path := chromium()
	if path == "" {
		fmt.Fprintln(os.Stderr, "there is no Chromium: apt-get install chromium")
		os.Exit(1)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.WSURLReadTimeout(patience))
	allocator, release := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, closeBrowser := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "starting %s: %v\n", path, err)
		os.Exit(1)
	}
	browser = ctx
	status := m.Run()
	closeBrowser()
	release()
	os.Exit(status)
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// A screen describes the screen on which a page is shown.
type screen struct {
	name          string
	width, height int64
	scheme        string // light or dark
	phone         bool
}

var screens = []screen{
	{"desktop-light", 1280, 800, "light", false},
	{"desktop-dark", 1280, 800, "dark", false},
	{"phone-light", 375, 812, "light", true},
	{"phone-dark", 375, 812, "dark", true},
}

// A tab is an open page in the browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu       sync.Mutex
	messages []string // warnings and errors from the console
}

// open opens a page. Warnings and errors in the console fail the test when it
// ends.
func open(t *testing.T, l screen, url string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browser)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx)) // no timeout here: it would apply to the whole tab
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: l.scheme}},
		})
		return err
	}))
	viewport := []chromedp.EmulateViewportOption{}
	if l.phone {
		viewport = append(viewport, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	p.do(chromedp.EmulateViewport(l.width, l.height, viewport...))
	go p.listen()
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		assert.Empty(t, p.messages, "the console")
	})
	p.do(chromedp.Navigate(url))
	return p
}

func (p *tab) listen() {
	for m, err := range chromedp.Console(p.ctx) {
		if err != nil {
			return
		}
		switch m.Type {
		case chromedp.ConsoleError, chromedp.ConsoleWarning, chromedp.ConsoleException:
			p.mu.Lock()
			p.messages = append(p.messages, m.String())
			p.mu.Unlock()
		}
	}
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	require.NoError(p.t, chromedp.Do(ctx, steps...))
}

// eval returns the value of an expression.
func eval[T any](p *tab, expression string) T {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err, expression)
	return v
}

// until waits until an expression is true.
func (p *tab) until(expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); !eval[bool](p, "Boolean("+expression+")"); {
		if time.Now().After(end) {
			p.shoot("failed")
			require.FailNow(p.t, "it never came true: "+expression)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// text returns the text of an element.
func (p *tab) text(selector string) string {
	p.t.Helper()
	return eval[string](p, "document.querySelector("+quote(selector)+").innerText")
}

// click moves the pointer over an element and clicks on its centre.
func (p *tab) click(selector string) {
	p.t.Helper()
	p.until("document.querySelector(" + quote(selector) + ")")
	eval[chromedp.Void](p, "document.querySelector("+quote(selector)+").scrollIntoView({ block: 'center' })")
	at := p.middle(selector)
	p.do(chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, at.X, at.Y))
	at = p.middle(selector)
	p.do(chromedp.MouseClickXY(at.X, at.Y))
}

// clickUntil clicks until an expression is true. The page is live: elements
// above may grow at the moment of a click, which then misses its target.
func (p *tab) clickUntil(selector, expression string) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); {
		p.click(selector)
		for wait := time.Now().Add(2 * time.Second); time.Now().Before(wait); time.Sleep(50 * time.Millisecond) {
			if eval[bool](p, "Boolean("+expression+")") {
				return
			}
		}
	}
	p.shoot("failed")
	require.FailNow(p.t, "no click on "+selector+" led to "+expression)
}

func (p *tab) middle(selector string) point {
	p.t.Helper()
	return eval[point](p, `(() => {
		const box = document.querySelector(`+quote(selector)+`).getBoundingClientRect();
		return { x: box.left + box.width / 2, y: box.top + box.height / 2 };
	})()`)
}

type point struct{ X, Y float64 }

func quote(s string) string {
	b, _ := json.Marshal(s) // encoding a string cannot fail
	return string(b)
}

// shoot saves a screenshot of the page in the folder SCREENSHOTS.
func (p *tab) shoot(name string) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		return
	}
	picture, err := chromedp.Run(p.ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644)
	}
	assert.NoError(p.t, err)
}

//go:embed testdata/axe/axe.min.js
var axe string

// assertAccessible runs axe over the page.
func (p *tab) assertAccessible(what string) {
	p.t.Helper()
	if !eval[bool](p, "typeof axe !== 'undefined'") {
		eval[chromedp.Void](p, axe)
	}
	violations := eval[string](p, `axe.run(document, { resultTypes: ["violations"] }).then((result) => result.violations.map((v) =>
		v.id + " (" + v.impact + "): " + v.help + "\n" + v.nodes.slice(0, 3).map((n) => "    " + n.html.slice(0, 200) + "\n    " + n.failureSummary).join("\n")).join("\n"))`)
	assert.Empty(p.t, violations, what)
}

// start runs a program until the test ends. It returns the program's output up
// to a word that the program must print.
func start(t *testing.T, until string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Wait() })
	var text strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(text.String(), until) {
		n, err := stdout.Read(buf)
		text.Write(buf[:n])
		require.NoError(t, err, text.String())
	}
	go func() { // drain the pipe
		for err := error(nil); err == nil; {
			_, err = stdout.Read(buf)
		}
	}()
	return text.String()
}

func itoa(n int) string { return strconv.Itoa(n) }
