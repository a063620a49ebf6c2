package engine

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/goroutine"
	"github.com/otelgoroutine/go/internal/parse"
)

func TestWhatIsSaidAboutAHolder(t *testing.T) {
	send := goroutine.Frame{Function: "main.(*log).append", File: "/src/log.go", Line: 12}
	read := goroutine.Frame{Function: "redis.(*Conn).Read", File: "/src/conn.go", Line: 9}
	holder := parse.Suspect{ID: 34, State: goroutine.ChanSend, At: send, Under: send}
	deep := parse.Suspect{ID: 35, State: goroutine.IOWait, At: read, Under: send}
	again := parse.Suspect{ID: 36, State: goroutine.MutexLock, At: read, Under: send, Waits: true}
	links := []parse.Link{{Goroutine: 7, Has: 0xa, Wants: 0xb}, {Goroutine: 9, Has: 0xb, Wants: 0xa}}
	for want, l := range map[string]parse.Lock{
		"": {Others: 3},
		" Perhaps held by goroutine 34, in chan send at main.(*log).append (log.go:12): it is past a line where others lock it, and works on the same object.":                                           {Object: true, Holder: &holder},
		" Perhaps held by goroutine 35, in IO wait at redis.(*Conn).Read (conn.go:9), called from main.(*log).append (log.go:12): it is past a line where others lock it, and works on the same object.": {Object: true, Holder: &deep, Others: 2},
		" Perhaps locked twice by goroutine 36: in main.(*log).append (log.go:12) it is past a line where others lock it, and waits for it again.":                                                       {Object: true, Holder: &again},
		" No other goroutine is seen to work on its object: it may have been locked twice by one that waits, or left locked by one that has returned.":                                                   {Object: true},
		" One other goroutine works on its object, and may have locked it or not: goroutine 34, in chan send at main.(*log).append (log.go:12).":                                                         {Object: true, Others: 1, Most: 1, Example: holder},
		" 5 other goroutines work on its object, 4 of them like goroutine 34, in chan send at main.(*log).append (log.go:12); one may have locked it.":                                                   {Object: true, Others: 5, Most: 4, Example: holder},
		" They seem to wait for each other: goroutine 7 has 0xa and wants 0xb, goroutine 9 has 0xb and wants 0xa.":                                                                                       {Object: true, Circle: links, Sure: true, Holder: &holder},
		" Perhaps they wait for each other: goroutine 7 works on the object of 0xa and wants 0xb, goroutine 9 works on the object of 0xb and wants 0xa.":                                                 {Object: true, Circle: links},
	} {
		assert.Equal(t, want, holderSentence(&l))
	}
}
