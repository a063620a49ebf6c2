// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
	"html"
	"net/url"
)

// A spelling is how the ends of lines are written where a text is kept on one line, and
// how such a line is read.
type spelling struct {
	end  []byte
	read func(line []byte) []byte
}

// spellings are those that are no escapes with a backslash, which [fields] reads: of
// rsyslog, of HTML and of XML.
var spellings = []spelling{
	{[]byte("#012"), withoutOctal},
	{[]byte("<br>"), breaks},
	{[]byte("<br/>"), breaks},
	{[]byte("<br />"), breaks},
	{[]byte("&#10;"), unescapedHTML},
	{[]byte("&#xA;"), unescapedHTML},
	{[]byte("&#xa;"), unescapedHTML},
}

// spelled returns a line with its ends of lines, if the header that was found in it is
// followed by one of these spellings; or nil. In an address, the header is spelled out
// as well.
func (u *unwrapper) spelled(line []byte, f found) []byte {
	if f.at < 0 {
		if u.form != noForm || !bytes.Contains(line, []byte("goroutine%20")) {
			return nil
		}
		text := unescapedURL(line)
		if f := findStart(text); f.at < 0 || f.end < 0 || !bytes.HasPrefix(text[f.end:], []byte("\n")) {
			return nil
		}
		return text
	}
	if f.end <= 0 || f.end == len(line) {
		return nil
	}
	for i := range spellings {
		if s := &spellings[i]; bytes.HasPrefix(line[f.end:], s.end) {
			return s.read(line)
		}
	}
	return nil
}

// split takes a line that has ends of lines spelled out. What stands before the first of
// them may be a prefix, as that of a logger.
func (u *unwrapper) split(text []byte) {
	for first := true; len(text) > 0; first = false {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if at := endingAt(line); first && at > 0 {
			line = line[at:]
		}
		u.line(bytes.TrimSuffix(line, []byte("\r")))
		text = rest
	}
}

// withoutOctal reads #011 and the like, which rsyslog writes for control characters.
func withoutOctal(line []byte) []byte {
	to := make([]byte, 0, len(line))
	for len(line) > 0 {
		if len(line) > 3 && line[0] == '#' && line[1] == '0' && '0' <= line[2] && line[2] <= '3' && '0' <= line[3] && line[3] <= '7' {
			to = append(to, (line[2]-'0')*8+line[3]-'0')
			line = line[4:]
			continue
		}
		to = append(to, line[0])
		line = line[1:]
	}
	return to
}

// breaks reads the tag of HTML for the end of a line.
func breaks(line []byte) []byte {
	for _, tag := range []string{"<br>", "<br/>", "<br />"} {
		line = bytes.ReplaceAll(line, []byte(tag), []byte("\n"))
	}
	return line
}

func unescapedHTML(line []byte) []byte { return []byte(html.UnescapeString(string(line))) }

func unescapedURL(line []byte) []byte {
	if text, err := url.PathUnescape(string(line)); err == nil {
		return []byte(text)
	}
	return line
}
