// Package webui has what browsers get: the scripts and styles that the live
// page and the HTML report share, and the page itself. Each thing is there
// once: ui.css has all colours, icicle.js the icicle graph, kit.js the rest.
//
// The scripts are plain ones that share a scope, so that they need no bundler:
// what is served is their concatenation. They make no markup out of text, and
// need nothing but what is in them.
package webui

import (
	"embed"
	"strings"
)

//go:embed assets/*.css assets/*.js assets/*.html assets/*.svg assets/uplot/uPlot.* assets/uplot/LICENSE
var assets embed.FS

// Index is the HTML of the live page. It refers to page.css, page.js, icon.svg,
// data.json, stream, stack.json, snapshot.pb.gz and report.txt beside it.
func Index() string { return read("index.html") }

// Icon is the SVG icon of the page.
func Icon() string { return read("icon.svg") }

// PageScript is the script of the live page.
func PageScript() string {
	return concat("uplot/uPlot.iife.min.js", "kit.js", "icicle.js", "live.js")
}

// PageStyle is the style sheet of the live page.
func PageStyle() string { return concat("uplot/uPlot.min.css", "ui.css", "live.css") }

func concat(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		if dir, _, third := strings.Cut(name, "/"); third && strings.HasSuffix(name, ".js") {
			b.WriteString("/*!\n" + read(dir+"/LICENSE") + "*/\n")
		}
		b.WriteString(read(name) + "\n")
	}
	return b.String()
}

// read returns an asset. That it is there is decided when the package is built,
// and held by a test.
func read(name string) string {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return ""
	}
	return string(content)
}
