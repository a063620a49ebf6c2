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
// Machine code that is made at run time, of plugins, and in functions that
// reach each other by computed jumps. Code in C is no danger: its calling
// conventions keep the register, and the runtime does not follow frame pointers
// on a thread that has C code on its stack.
package framepointer

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// maxCode bounds the machine code that is decoded, in bytes. One takes 30 to 85 ns,
// so that this is some 50 ms; the largest module known has 700 kB and takes 20 ms.
// A bound on time would make the verdict depend on what else the machine does.
const maxCode = 1 << 20

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
	return scan(file, format)
}

func scan(file io.ReaderAt, format string) ([]Function, error) {
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
	return img.judge(all, text)
}

// judge returns those of the functions from assembly that spoil the frame
// pointer. text is where the text begins.
func (img *image) judge(all []function, text uint64) (found []Function, err error) {
	budget, library := maxCode, newLibrary(all)
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
		if spoils(img.arch, f, code, all) {
			found = append(found, Function{f.name, f.pkg(), f.file})
		}
	}
	return found, nil
}

// spoils reports whether a function may leave a wrong frame pointer to its
// caller, or call Go code with one.
func spoils(arch string, f function, code []byte, all []function) bool {
	walk := flow{from: f.from, to: f.to}
	switch arch {
	case "amd64":
		walk.steps = readAMD64(code, f.from)
	case "arm64":
		walk.steps = readARM64(code, f.from)
	}
	spoils, calls := walk.spoils()
	return spoils || slices.ContainsFunc(calls, func(pc uint64) bool { return !within(all, pc) })
}

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
