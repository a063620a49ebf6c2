// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"bytes"
)

// maxWords is how many arguments of a call are read. A dump shows at most ten.
const maxWords = 10

// words are the arguments of a call, word by word as a dump shows them. A string
// is two words, and braces are ignored. What is empty is no word: "{}". Words behind
// some that are left out, as "...", are not counted.
type words struct {
	n     int
	value [maxWords]uint64 // 0 where the dump is uncertain: "0xc000010020?", "_"
	// inlined is set when the call has no frame of its own, and so no arguments.
	// It is part of the next call that has a frame.
	inlined bool
	// offset is how far into its function the call is that the frame is in; 0 when
	// unknown. Only calls with a frame of their own have one.
	offset uint64
}

// arguments keeps the text of the arguments of each call of a goroutine: most are
// never read. A nil one does nothing.
type arguments struct {
	text []byte
	ends []int // by call
}

// set takes the arguments of a call, after those of all calls before it.
func (a *arguments) set(call int, text []byte) {
	if a == nil {
		return
	}
	a.ends = a.ends[:call]
	a.text = append(a.text[:a.begin(call)], text...)
	a.ends = append(a.ends, len(a.text))
}

func (a *arguments) begin(call int) int {
	if call == 0 {
		return 0
	}
	return a.ends[call-1]
}

// of returns the arguments of a call.
func (a *arguments) of(call int) words { return wordsOf(a.text[a.begin(call):a.ends[call]]) }

// offsetOf reads the offset from the end of the line with the place of a call.
func offsetOf(line []byte) uint64 {
	i := bytes.LastIndex(line, []byte(" +"))
	if i < 0 {
		return 0
	}
	digits, _, _ := bytes.Cut(line[i+2:], []byte(" "))
	return certain(digits)
}

// wordsOf reads the text between the parentheses of a call.
func wordsOf(arguments []byte) (w words) {
	arguments = bytes.TrimSuffix(arguments, []byte(")"))
	if string(arguments) == "..." {
		w.inlined = true
		return w
	}
	for len(arguments) > 0 && w.n < maxWords {
		var word []byte
		word, arguments, _ = bytes.Cut(arguments, []byte(","))
		switch word = bytes.Trim(word, " {}"); string(word) {
		case "":
			continue
		case "...":
			return w
		}
		w.value[w.n] = certain(word)
		w.n++
	}
	return w
}

// certain returns the value of a word, or 0 if it is uncertain.
func certain(word []byte) uint64 {
	digits, ok := bytes.CutPrefix(word, []byte("0x"))
	if !ok || len(digits) > 16 {
		return 0
	}
	value := uint64(0)
	for _, c := range digits {
		if !isHex(c) { // such as "c000010020?"
			return 0
		}
		value = value<<4 | uint64(hexValue(c))
	}
	return value
}
