package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"regexp"
	"strings"
)

var header = regexp.MustCompile(`goroutine \d+ (?:[a-z]+=\S+ )*\[[a-z]`)

// unprefixed returns a dump without what a logger wrapped its lines in: a prefix
// of the same length on every line, as of journald, Compose or Kubernetes, or
// JSON objects with the line in a field, as of Docker.
//
// A dump whose headers start at the beginning of their lines is passed on
// unchanged.
func unprefixed(r *bufio.Reader) io.Reader {
	return &unprefixer{in: r, prefix: -1}
}

type unprefixer struct {
	in     *bufio.Reader
	out    bytes.Buffer
	prefix int // bytes before the text on each line; -1 before the first header
	plain  bool
	inside bool // the line before was cut off by the buffer: its rest comes next
}

// maxPrefix is how far into a line a header is searched for, in bytes.
const maxPrefix = 512

func (u *unprefixer) Read(p []byte) (int, error) {
	for u.out.Len() == 0 {
		if u.plain {
			return u.in.Read(p)
		}
		line, err := u.in.ReadSlice('\n')
		switch {
		case u.inside:
			u.out.Write(line)
		case len(line) > 0:
			u.take(line)
		}
		u.inside = err == bufio.ErrBufferFull
		if err != nil && !u.inside {
			if u.out.Len() > 0 {
				break
			}
			return 0, err
		}
	}
	return u.out.Read(p)
}

// take takes a line, or as much of one as fits into the buffer.
func (u *unprefixer) take(line []byte) {
	if text, ok := fromJSON(line); ok {
		u.out.WriteString(text)
		u.out.WriteByte('\n')
		return
	}
	if at := header.FindIndex(line[:min(len(line), maxPrefix)]); at != nil {
		u.prefix = at[0]
		u.plain = at[0] == 0
	}
	if u.prefix > 0 {
		line = strip(line, u.prefix)
	}
	u.out.Write(line)
}

// strip removes a prefix and keeps the end of the line. A line shorter than the
// prefix is an empty one whose trailing blanks were trimmed.
func strip(line []byte, prefix int) []byte {
	text := bytes.TrimRight(line, "\r\n")
	if len(text) < prefix {
		return []byte("\n")
	}
	return line[prefix:]
}

// fromJSON returns the text of a log line that is a JSON object.
func fromJSON(line []byte) (string, bool) {
	trimmed := bytes.TrimSpace(line)
	if len(trimmed) < 2 || trimmed[0] != '{' || trimmed[len(trimmed)-1] != '}' {
		return "", false
	}
	var fields map[string]any
	if json.Unmarshal(trimmed, &fields) != nil {
		return "", false
	}
	for _, key := range []string{"log", "message", "msg", "MESSAGE", "text", "textPayload"} {
		if text, ok := fields[key].(string); ok {
			return strings.TrimRight(text, "\r\n"), true
		}
	}
	return "", false
}
