// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package webui

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAllAssetsAreEmbedded(t *testing.T) {
	for name, text := range map[string]string{
		"index": Index(), "icon": Icon(), "script": PageScript(), "style": PageStyle(), "report": Report("t", []byte("{}")),
	} {
		assert.Greater(t, len(text), 300, name)
	}
	for _, part := range []string{"var uPlot=", "Permission is hereby granted", "function el(", "function makeIcicle(", "async function connect("} {
		assert.Contains(t, PageScript(), part)
	}
	for _, part := range []string{".uplot", "--page:", ".timeline"} {
		assert.Contains(t, PageStyle(), part)
	}
}

// The page must be small enough for a slow connection. It is served compressed.
func TestAssetsAreSmall(t *testing.T) {
	var sent bytes.Buffer
	for _, text := range []string{PageScript(), PageStyle(), Index()} {
		z, err := gzip.NewWriterLevel(&sent, gzip.BestSpeed)
		require.NoError(t, err)
		_, err = io.WriteString(z, text)
		require.NoError(t, err)
		require.NoError(t, z.Close())
	}
	assert.Less(t, sent.Len(), 64<<10)
}

// The scripts must show text as text. uPlot is exempt because it is not ours.
func TestNoMarkupIsMadeOfText(t *testing.T) {
	forbidden := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc|DOMParser|setAttribute\("(style|on)`)
	err := fs.WalkDir(assets, "assets", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".js") {
			return err
		}
		content, err := assets.ReadFile(path)
		assert.Empty(t, forbidden.FindAllString(string(content), -1), path)
		return err
	})
	require.NoError(t, err)
}

// The page must load nothing from elsewhere and have no inline script or style,
// which its policy forbids.
func TestThePageIsSelfContained(t *testing.T) {
	assert.NotRegexp(t, `(?i)(src|href)="(https?:)?//`, Index())
	assert.NotRegexp(t, `(?i)<style|\sstyle=|\son[a-z]+=|<script>`, Index())
	assert.NotRegexp(t, `url\((https?:)?//|@import`, PageStyle())
}

func TestTheReportIsOneFileThatRunsItsOwnScriptOnly(t *testing.T) {
	hostile := `</title><script>alert(1)</script>@SCRIPT@`
	page := Report(hostile, []byte(`{"target":"\u003c/script\u003e"}`))
	assert.NotContains(t, page, "<script>alert")
	assert.NotRegexp(t, `(?i)(src|href)="(https?:)?//`, page)
	assert.Equal(t, 2, strings.Count(page, "<script"), "the data and the script")
	assert.Equal(t, 2, strings.Count(page, "</script"))
	_, rest, _ := strings.Cut(page, "<script>")
	script, _, _ := strings.Cut(rest, "</script>")
	assert.Contains(t, page, "script-src "+hashOf(script)+";", "the policy names the script as it is in the page")
	_, rest, _ = strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	assert.Contains(t, page, "style-src "+hashOf(style)+";")
}

// Every colour that kit.js gives to a state must be defined in ui.css, for the
// light and the dark scheme.
func TestEveryColourOfAStateIsDefined(t *testing.T) {
	names := regexp.MustCompile(`"[^"]+": "([a-z]+)",`).FindAllStringSubmatch(read("kit.js"), -1)
	require.Greater(t, len(names), 15)
	for _, name := range names {
		assert.Equal(t, 2, strings.Count(read("ui.css"), "--"+name[1]+":"), "%s, light and dark", name[1])
	}
}

// The built chart library must be the one that npm published. The script
// assets/uplot/update names the version, and the checksum is that of the file
// it left here.
func TestTheChartLibraryIsAsBuilt(t *testing.T) {
	script, err := os.ReadFile("assets/uplot/update")
	require.NoError(t, err)
	version := regexp.MustCompile(`version=(\S+)`).FindSubmatch(script)
	require.Len(t, version, 2)
	assert.Contains(t, read("uplot/uPlot.iife.min.js"), "(v"+string(version[1])+")")
	sum := sha512.Sum512([]byte(read("uplot/uPlot.iife.min.js")))
	assert.Equal(t, "jfm4wrxgq73ZXFzyYPRmgfQd7yYjtsH57SzfgjpieX4rgnfHAMAZJgQ1YLTsc6HOX+1tnGjnkFuerbc8oI2mJg==", base64.StdEncoding.EncodeToString(sum[:]))
}
