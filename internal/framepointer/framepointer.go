// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package framepointer finds functions that spoil the frame pointer.
//
// While an execution trace is on, the runtime follows the frame pointers of
// every goroutine that it writes a stack of. The compiler keeps them intact;
// assembly may not: a function without a frame that takes the register for a
// number of its own leaves that number to its caller, and the next event that is
// traced in there ends the process with SIGSEGV. No recover catches that.
//
// The function table that every Go program carries says which functions were
// assembly, also in a stripped program. They are few. Those outside the standard
// library are decoded and the frame pointer is followed along every path, from
// the entry to every return.
//
// # What it cannot see
//
// Machine code that is made at run time, and functions that reach each other by
// computed jumps. A program that can load plugins is not decided: their code is
// not known. Code in C is no danger: its calling conventions keep the register, it
// runs on the stack of the system, and the runtime does not follow frame pointers
// on a thread that has C code on its stack.
package framepointer

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// maxCode bounds the machine code that is decoded, in bytes. One takes about 10 ns,
// so that this is some 40 ms. All modules that are known to have much assembly have
// 2 MB together on amd64, and 0.4 MB on arm64. A bound on time would make the
// verdict depend on what else the machine does.
const maxCode = 4 << 20

// A Function is one that spoils the frame pointer.
type Function struct {
	Name    string // as the runtime names it
	Package string // import path; "" if its name has none
	File    string // with its source
}

// Scan returns the functions of a program that spoil the frame pointer. On an
// error there may be others.
func Scan(file io.ReaderAt) ([]Function, error) {
	format, err := sniff(file)
	if err != nil {
		return nil, err
	}
	return scan(file, format, "")
}

// scan reads a program that must have a function with the name own, unless that is
// "".
func scan(file io.ReaderAt, format, own string) ([]Function, error) {
	img, err := open(file, format)
	if err != nil {
		return nil, err
	}
	if img.arch == "" {
		return nil, nil // the runtime follows frame pointers on amd64 and arm64 only
	}
	t, text, err := img.program()
	if err != nil {
		return nil, err
	}
	all, err := t.assembly()
	if err != nil {
		return nil, err
	}
	found, err := img.judge(all, text)
	if err == nil {
		err = t.checkNames(own)
	}
	return found, err
}

// judge returns those of the functions from assembly that spoil the frame
// pointer. text is where the text begins.
func (img *image) judge(all []function, text uint64) (found []Function, err error) {
	budget, library := maxCode, newLibrary(all)
	var steps []step
	for _, f := range all {
		if library.has(f) {
			continue
		}
		size := int(f.to - f.from)
		if budget -= size; budget < 0 {
			return found, errors.New("the program has too much assembly to decode it")
		}
		code, err := img.code(text+f.from, size)
		if err != nil {
			return found, fmt.Errorf("%s: %w", f.name, err)
		}
		steps = f.steps(steps[:0], img.arch, code)
		spoils, err := f.spoils(steps, all)
		if err != nil {
			return found, fmt.Errorf("%s: %w", f.name, err)
		}
		if spoils {
			found = append(found, Function{f.name, f.pkg(), f.file})
		}
	}
	return found, nil
}

// steps appends the steps of a function to those in the buffer.
func (f function) steps(buf []step, arch string, code []byte) []step {
	if arch == "arm64" {
		return readARM64(buf, code, f.from)
	}
	return readAMD64(buf, code, f.from)
}

// spoils reports whether a function may leave a wrong frame pointer to its
// caller, or call Go code with one.
func (f function) spoils(steps []step, all []function) (bool, error) {
	walk := flow{from: f.from, to: f.to, steps: steps}
	spoils, calls, err := walk.spoils()
	return spoils || slices.ContainsFunc(calls, func(pc uint64) bool { return !within(all, pc) }), err
}

// elsewhere is the target of a call to an address that is computed.
const elsewhere = math.MaxUint64

// within reports whether an address is that of a function from assembly.
func within(all []function, pc uint64) bool {
	_, found := slices.BinarySearchFunc(all, pc, func(f function, pc uint64) int {
		switch {
		case f.to <= pc:
			return -1
		case f.from > pc:
			return 1
		}
		return 0
	})
	return found
}
