package capture

import (
	"runtime"
	"slices"
)

// maxCode is how many bytes of a function's code are read.
const maxCode = 64 << 10

// unlockers finds where functions of this process unlock a sync.Mutex, as far as
// the compiler has inlined the call. The compiler does so unless it is told not
// to. Each value serves one dump.
type unlockers struct {
	entries map[string]uintptr // of the functions on any stack; nil until they are needed
	lines   map[[2]string][]int
}

// between reports whether a function may unlock on a line after first and before
// last. frame is the function that it is inlined in, or function itself. If that
// cannot be determined, between returns true.
func (u *unlockers) between(frame, function string, first, last int) bool {
	key := [2]string{frame, function}
	lines, ok := u.lines[key]
	if !ok {
		if u.entries == nil {
			u.entries, u.lines = entries(), make(map[[2]string][]int)
		}
		lines = unlockLines(u.entries[frame], function)
		u.lines[key] = lines
	}
	return lines == nil || slices.ContainsFunc(lines, func(l int) bool { return first < l && l < last })
}

// entries returns the entry address of every function that has a frame on the
// stack of a goroutine. A dump has only their names.
func entries() map[string]uintptr {
	records := make([]runtime.StackRecord, runtime.NumGoroutine()+100)
	n, _ := runtime.GoroutineProfile(records)
	found := make(map[string]uintptr)
	for i := range records[:min(n, len(records))] {
		frames := runtime.CallersFrames(records[i].Stack())
		for more := true; more; {
			var f runtime.Frame
			if f, more = frames.Next(); f.Func != nil { // not inlined
				found[f.Function] = f.Entry
			}
		}
	}
	return found
}

// unlockLines returns the lines on which a function unlocks, after a leading 0.
// The 0 distinguishes "no such line" from nil, which means that the lines cannot
// be determined.
//
// Where a call is inlined, the compiler leaves an instruction that bears the line
// of the call right before the call, and one for each call within it.
func unlockLines(entry uintptr, function string) []int {
	if entry == 0 {
		return nil
	}
	lines, at := []int{0}, 0
	for pc := entry; pc < entry+maxCode; pc++ {
		if f := runtime.FuncForPC(pc); f == nil || f.Entry() != entry {
			return lines
		}
		f, _ := runtime.CallersFrames([]uintptr{pc + 1}).Next() // the innermost function inlined here
		switch {
		case f.Function == function:
			at = f.Line
		case f.Function == "sync.(*Mutex).Unlock" && !slices.Contains(lines, at):
			lines = append(lines, at)
		}
	}
	return nil
}
