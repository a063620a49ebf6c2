// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package webui contains the scripts, styles and HTML of the live page and the
// HTML report. Both share ui.css (all colours), icicle.js (the icicle graph)
// and kit.js (everything else).
//
// The scripts are plain scripts with a common scope. They are served as one
// file and need no bundler. They never turn text into markup, and they load
// nothing.
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

// Index returns the HTML of the live page. It refers to page.css, page.js,
// icon.svg, data.json, stream, stack.json, snapshot.pb.gz and report.txt next
// to it.
func Index() string { return read("index.html") }

// Icon returns the SVG icon of the page.
func Icon() string { return read("icon.svg") }

// PageScript returns the script of the live page.
func PageScript() string {
	return concat("uplot/uPlot.iife.min.js", "kit.js", "icicle.js", "live.js")
}

// PageStyle returns the style sheet of the live page.
func PageStyle() string { return concat("uplot/uPlot.min.css", "ui.css", "live.css") }

// Report returns the HTML report of data, which must be JSON as written by
// encoding/json. The file loads nothing, and its policy allows only its own
// script and style. The title is plain text.
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

// hashOf returns the hash that identifies a script or style in a policy.
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

// read returns an asset. A test checks that all assets are embedded.
func read(name string) string {
	content, err := assets.ReadFile("assets/" + name)
	if err != nil {
		return ""
	}
	return string(content)
}
