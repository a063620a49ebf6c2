package capture

import (
	"runtime"

	"github.com/otelgoroutine/go/internal/lockcode"
)

// codeOfStacks returns a reader of the functions that are on the stack of any
// goroutine.
func codeOfStacks() *lockcode.Reader { return lockcode.NewReader(entries()) }

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
