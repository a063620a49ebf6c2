// Package webui has the scripts, styles and HTML of the live page and the HTML
// report. They share ui.css (all colours), icicle.js (the icicle graph) and
// kit.js (everything else).
//
// The scripts are plain ones that share a scope, so that they need no bundler:
// they are served as one file. They make no markup out of text and load nothing.
package webui

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"html"
	"strings"
)

//go:embed assets/*.css assets/*.js assets/*.html assets/*.svg assets/uplot/uPlot.* assets/uplot/LICENSE
var assets embed.FS

// Index is the HTML of the live page. It refers to page.css, page.js, icon.svg,
// data.json, stream, stack.json, snapshot.pb.gz and report.txt next to it.
func Index() string { return read("index.html") }

// Icon is the SVG icon of the page.
func Icon() string { return read("icon.svg") }

// PageScript is the script of the live page.
func PageScript() string {
	return concat("uplot/uPlot.iife.min.js", "kit.js", "icicle.js", "live.js")
}

// PageStyle is the style sheet of the live page.
func PageStyle() string { return concat("uplot/uPlot.min.css", "ui.css", "live.css") }

// Report returns the HTML report of data, which is JSON as encoding/json writes
// it. The file loads nothing, and its policy allows its own script and style
// only. The title is text.
func Report(title string, data []byte) string {
	script := "\n" + concat("kit.js", "icicle.js", "report.js")
	style := "\n" + concat("ui.css", "report.css")
	policy := "default-src 'none'; script-src " + hashOf(script) + "; style-src " + hashOf(style) + "; img-src data:; base-uri 'none'; form-action 'none'"
	return strings.NewReplacer(
		"@POLICY@", policy,
		"@TITLE@", html.EscapeString(title),
		"@STYLE@", style,
		"@DATA@", string(data),
		"@SCRIPT@", script,
	).Replace(read("report.html"))
}

// hashOf returns the name of a script or style in a policy: its hash.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

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

// read returns an asset. A test checks that all of them are embedded.
func read(name string) string {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return ""
	}
	return string(content)
}
