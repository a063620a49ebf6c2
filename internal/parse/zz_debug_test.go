package parse

import (
	"bytes"
	"fmt"
	"testing"

	xtrace "golang.org/x/exp/trace"
)

func dumpEvents(t testing.TB, data []byte, id uint64) {
	r, _ := xtrace.NewReader(bytes.NewReader(data))
	n := 0
	for {
		e, err := r.ReadEvent()
		if err != nil {
			return
		}
		n++
		if e.Kind() == xtrace.EventSync {
			fmt.Println("SYNC", n)
		}
		if e.Kind() != xtrace.EventStateTransition {
			continue
		}
		st := e.StateTransition()
		if st.Resource.Kind != xtrace.ResourceGoroutine || uint64(st.Resource.Goroutine()) != id {
			continue
		}
		from, to := st.Goroutine()
		leaf := ""
		for f := range st.Stack.Frames() {
			leaf = f.Func
			break
		}
		fmt.Println(n, e.Thread(), from, to, st.Reason, leaf)
	}
}
