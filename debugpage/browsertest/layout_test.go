// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package browsertest

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/debugpage"
)

// cutElements returns the elements whose text does not fit, and those that stick out
// of the window. What scrolls by itself may be wider than its box.
const cutElements = `(() => {
	const name = (n) => n.tagName.toLowerCase() + (n.id ? "#" + n.id : "") + " " + JSON.stringify(n.textContent.trim().slice(0, 60));
	const top = document.querySelector("dialog[open]") || document.body;
	const shown = [...top.querySelectorAll("*")].filter((n) => n.checkVisibility() && !n.closest(".scroll, .unseen, canvas, svg, option"));
	const wide = (n) => getComputedStyle(n).display !== "inline" && n.clientWidth > 0 && n.scrollWidth > n.clientWidth + 1;
	const outside = (n) => {
		const box = n.getBoundingClientRect();
		return box.width > 0 && (box.left < -1 || box.right > document.documentElement.clientWidth + 1);
	};
	return shown.filter((n) => wide(n) || outside(n)).map(name);
})()`

// overlaps returns the controls of the page's header that cover one another.
const overlaps = `(() => {
	const controls = [...document.querySelectorAll(".bar h1, .bar button, .bar a, .bar .status")].filter((n) => n.checkVisibility());
	const covers = (a, b) => a.left < b.right - 1 && b.left < a.right - 1 && a.top < b.bottom - 1 && b.top < a.bottom - 1;
	return controls.flatMap((a, i) => controls.slice(i + 1).filter((b) => covers(a.getBoundingClientRect(), b.getBoundingClientRect())).map((b) => a.textContent + " and " + b.textContent));
})()`

// cutLabels returns the labels of the chart's axes that do not fit onto its canvas.
// They are drawn, so that their size is that of their text.
const cutLabels = `(() => {
	if (typeof chart === "undefined" || !chart) return [];
	const [times, counts] = chart.axes;
	const ratio = devicePixelRatio;
	const context = document.createElement("canvas").getContext("2d");
	context.font = times.font[0];
	const half = (text) => context.measureText(text).width / 2;
	const at = (i) => chart.valToPos(times._splits[i], "x", true);
	const cut = times._values.filter((text, i) => text && (at(i) - half(text) < 0 || at(i) + half(text) > chart.ctx.canvas.width));
	const room = chart.bbox.left - (counts.ticks.size + counts.gap) * ratio;
	return cut.concat(counts._values.filter((text) => text && 2 * half(text) > room));
})()`

// assertNothingCut checks that every text can be read as a whole.
func (p *tab) assertNothingCut(what string) {
	p.t.Helper()
	assert.Empty(p.t, strings.Join(eval[[]string](p, cutElements), "\n"), "%s: cut off", what)
	assert.Empty(p.t, strings.Join(eval[[]string](p, overlaps), "\n"), "%s: covering one another", what)
	assert.Empty(p.t, strings.Join(eval[[]string](p, cutLabels), "\n"), "%s: labels of the chart", what)
	assert.LessOrEqual(p.t, eval[int](p, "document.documentElement.scrollWidth"), eval[int](p, "window.innerWidth"), "%s: wider than the window", what)
}

// The page of a fault with long names, on the narrowest phones and on a desktop.
func TestNothingIsCut(t *testing.T) {
	url, recorder := serve(t, debugpage.WithName("a-service-with-a-name-as-long-as-kubernetes-gives-them-6d9f7c5b8-x2x7q"))
	recordFaults(recorder)
	for _, width := range []int64{375, 390, 1280} {
		p := open(t, screen{"width", width, 812, "light", width < 700}, url)
		p.until("page.findings.length === 4 && chart && byID('stacks').children.length > 3")
		p.assertNothingCut("the page")
		assert.True(t, eval[bool](p, "byID('stacks').closest('.scroll').scrollWidth <= byID('stacks').closest('.scroll').clientWidth"), "the table of stacks fits")
		p.clickUntil("#findings > details:nth-child(2) > summary", "document.querySelectorAll('#findings > details[open]').length === 2")
		p.assertNothingCut("two cards unfolded")
		p.clickUntil(".finding[open] button", "byID('detail').open && byID('detail').innerText.includes('ledger.go:84')")
		p.assertNothingCut("a stack")
	}
}
