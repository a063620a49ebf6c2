package parse

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func TestWords(t *testing.T) {
	for arguments, want := range map[string]words{
		")":                                  {},
		"...)":                               {inlined: true},
		"0x1)":                               {n: 1, value: [maxWords]uint64{1}},
		"0x1, 0x2?, 0xff":                    {n: 3, value: [maxWords]uint64{1, 0, 0xff}},
		"{0x1, 0x2}, 0x3)":                   {n: 3, value: [maxWords]uint64{1, 2, 3}},
		"{{0x1}, _}, {...})":                 {n: 3, value: [maxWords]uint64{1}},
		"0xfffffffffffffffff)":               {n: 1},
		"1, 0x, 0xg)":                        {n: 3},
		strings.Repeat("0x7, ", 20) + "...)": {n: maxWords, value: [maxWords]uint64{7, 7, 7, 7, 7, 7, 7, 7, 7, 7}},
	} {
		assert.Equal(t, want, wordsOf([]byte(arguments)), arguments)
	}
}

// waiting returns the text of a goroutine that waits for a lock in (*T).f, or in
// the given function.
func waiting(id int, lock, call string, line int) string {
	return fmt.Sprintf("goroutine %d [sync.Mutex.Lock]:\ninternal/sync.(*Mutex).lockSlow(%s)\n\t/m.go:1 +0x1\nsync.(*Mutex).Lock(...)\n\t/m.go:2\n%s\n\t/f.go:%d +0x1\ncreated by main.a in goroutine 1\n\t/g.go:3 +0x9\n\n", id, lock, call, line)
}

func at(id int, state string, lines ...string) string {
	text := fmt.Sprintf("goroutine %d [%s]:\n", id, state)
	for i := 0; i < len(lines); i += 2 {
		text += lines[i] + "\n\t/f.go:" + lines[i+1] + " +0x1\n"
	}
	return text + "\n"
}

func never(string, string, int, int) bool { return false }

// TestLocks uses short dumps. The tests of internal/capture use programs that are
// really stuck.
func TestLocks(t *testing.T) {
	const f, lock = "main.(*T).f(0xc000, 0x1)", "0xc008"
	stuck := waiting(10, lock, f, 5)
	for name, tt := range map[string]struct {
		dump    string
		unlocks Unlocks
		holder  uint64
		object  bool
		others  int
	}{
		"no other goroutine":    {stuck, never, 0, true, 0},
		"past the line":         {stuck + at(7, "chan send", f, "6"), never, 7, true, 0},
		"before the line":       {stuck + at(7, "chan send", f, "4"), never, 0, true, 1},
		"past an unlock":        {stuck + at(7, "chan send", f, "6"), func(string, string, int, int) bool { return true }, 0, true, 1},
		"unlocks unknown":       {stuck + at(7, "chan send", f, "6"), nil, 0, true, 1},
		"two past it":           {stuck + at(7, "chan send", f, "6") + at(8, "chan send", f, "6"), never, 0, true, 2},
		"further out":           {stuck + at(7, "IO wait", "net.read(0x5)", "1", f, "6"), never, 7, true, 0},
		"another function":      {stuck + at(7, "chan send", "main.(*T).g(0xc000)", "6"), never, 0, true, 1},
		"another object":        {stuck + at(7, "chan send", "main.(*T).f(0xd000, 0x1)", "6"), never, 0, true, 0},
		"an uncertain object":   {stuck + at(7, "chan send", "main.(*T).f(0xc000?, 0x1)", "6"), never, 0, true, 0},
		"another argument":      {stuck + at(7, "chan send", "main.(*T).f(0x1, 0xc000)", "6"), never, 0, true, 1},
		"on a condition":        {stuck + at(7, "sync.Cond.Wait", "sync.(*Cond).Wait(0x1)", "1", f, "6"), never, 0, true, 0},
		"not a receiver":        {waiting(10, lock, "main.f(0xc000)", 5) + at(7, "chan send", "main.f(0xc000)", "6"), never, 0, true, 1},
		"the lock itself":       {waiting(10, lock, "main.f(0xc008)", 5) + at(7, "chan send", "main.f(0xc008)", "6"), never, 7, true, 0},
		"too far away":          {waiting(10, "0xd000", f, 5) + at(7, "chan send", f, "6"), never, 0, false, 0},
		"above":                 {waiting(10, "0xbff8", f, 5), never, 0, false, 0},
		"uncertain":             {waiting(10, lock, "main.(*T).f(0xc000?)", 5), never, 0, false, 0},
		"two locks at one call": {stuck + waiting(11, "0xc010", f, 5) + at(7, "chan send", f, "6"), never, 0, false, 0},
		"locked twice":          {stuck + waiting(7, lock, "main.(*T).g(0xc000)", 9)[:0] + strings.Replace(waiting(7, lock, "main.(*T).g(0xc000)", 9), "created", f+"\n\t/f.go:6 +0x1\ncreated", 1), never, 7, true, 0},
		"moved since":           {strings.Replace(stuck, "Lock]", "Lock, 5 minutes]", 1) + at(7, "chan send, 3 minutes", f, "6"), never, 0, true, 1},
		"stood as long":         {strings.Replace(stuck, "Lock]", "Lock, 5 minutes]", 1) + at(7, "chan send, 4 minutes", f, "6"), never, 7, true, 0},
		"inlined":               {waiting(10, lock, "main.(*T).lock(...)\n\t/f.go:1\n"+f, 5) + at(7, "chan send", "main.(*T).lock(...)", "2", f, "5"), never, 7, true, 0},
		"a lock not inlined":    {strings.Replace(stuck, "Lock(...)", "Lock(0xc008)", 1) + at(7, "chan send", f, "6"), never, 0, true, 1},
	} {
		t.Run(name, func(t *testing.T) {
			locks := Locks([]byte(tt.dump), tt.unlocks)
			require.NotEmpty(t, locks)
			l := locks[0]
			var holder uint64
			if l.Holder != nil {
				holder = l.Holder.ID
			}
			assert.Equal(t, tt.holder, holder)
			assert.Equal(t, tt.object, l.Object)
			assert.Equal(t, tt.others, l.Others)
			assert.Nil(t, l.Circle)
		})
	}
}

func TestASuspectIsDescribed(t *testing.T) {
	const f = "main.(*T).f(0xc000)"
	locks := Locks([]byte(waiting(10, "0xc008", f, 5)+at(7, "IO wait, 3 minutes", "net.read(0x5)", "1", "redis.get(0x7)", "2", f, "6")), never)
	require.Len(t, locks, 1)
	assert.Equal(t, &Suspect{
		ID: 7, State: goroutine.IOWait,
		At:    goroutine.Frame{Function: "redis.get", File: "/f.go", Line: 2},
		Under: goroutine.Frame{Function: "main.(*T).f", File: "/f.go", Line: 6},
	}, locks[0].Holder)
}

func TestCircles(t *testing.T) {
	send := func(id, has, wants int) string {
		return waiting(id, fmt.Sprintf("%#x", wants+8), fmt.Sprintf("main.(*T).send(%#x, %#x)", has, wants), 5)
	}
	ring := func(n int) (dump string) {
		for i := range n {
			dump += send(100+i, 0xc000+i*0x1000, 0xc000+(i+1)%n*0x1000)
		}
		return dump
	}
	for n := 2; n <= maxCircle; n++ {
		locks := Locks([]byte(ring(n)), nil)
		require.Len(t, locks, n)
		for _, l := range locks {
			require.Len(t, l.Circle, n)
			assert.True(t, l.Sure)
			for i, link := range l.Circle {
				next := l.Circle[(i+1)%n]
				assert.Equal(t, link.Wants, next.Has)
			}
			assert.Equal(t, l.Address, l.Circle[0].Has)
		}
	}
	for _, l := range Locks([]byte(ring(maxCircle+1)), nil) {
		assert.Nil(t, l.Circle, "too long")
	}
	for _, l := range Locks([]byte(send(1, 0xc000, 0xd000)+waiting(2, "0xc008", "main.(*T).other(0xd000, 0xc000)", 5)), nil) {
		assert.Nil(t, l.Circle, "not the very same, and no line that tells")
	}
}

func TestLocksAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 3 * maxContested {
		for k := range 3 {
			b.WriteString(waiting(1000*i+k+1, fmt.Sprintf("%#x", 0x10008+i*0x1000), fmt.Sprintf("main.(*T).f%d(%#x)", k, 0x10000+i*0x1000), 5))
		}
	}
	for i := range 5 * maxSuspects {
		b.WriteString(at(1_000_000+i, "select", "main.(*T).g(0x10000)", fmt.Sprint(i+1)))
	}
	locks := Locks([]byte(b.String()), never)
	assert.Len(t, locks, maxContested)
	assert.Equal(t, 5*maxSuspects, locks[0].Others)
	assert.Equal(t, 3, locks[0].Waiters)
}

func FuzzLocks(f *testing.F) {
	addFiles(f, "text/go1.*/*.txt")
	f.Add([]byte(waiting(10, "0xc008", "main.(*T).f(0xc000, 0x1)", 5) + at(7, "chan send", "main.(*T).f(0xc000, 0x1)", "6")))
	f.Add([]byte(waiting(1, "0xc008", "main.(*T).f(0xd000, 0xc000)", 5) + waiting(2, "0xd008", "main.(*T).f(0xc000, 0xd000)", 5)))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, _ := Text(bytes.NewReader(data), textTime, NewStacks(), nil)
		waiters := make(map[uint64]int)
		for _, g := range s.Groups {
			if g.Lock != 0 {
				waiters[g.Lock] += g.Count
			}
		}
		locks := Locks(data, never)
		if len(s.Groups) < MaxGroups {
			require.Len(t, locks, min(len(waiters), maxContested))
		}
		for i, l := range locks {
			requireLock(t, &l, s, waiters)
			require.True(t, i == 0 || locks[i-1].Waiters >= l.Waiters)
		}
		require.Equal(t, locks, Locks(data, never), "the same each time")
	})
}

func requireLock(t *testing.T, l *Lock, s *goroutine.Snapshot, waiters map[uint64]int) {
	if len(s.Groups) < MaxGroups {
		require.Equal(t, waiters[l.Address], l.Waiters)
	}
	require.LessOrEqual(t, l.Others, s.Total)
	require.LessOrEqual(t, l.Most, l.Others)
	if !l.Object {
		require.Equal(t, Lock{Address: l.Address, Waiters: l.Waiters}, *l)
	}
	require.LessOrEqual(t, len(l.Circle), maxCircle)
	for i, link := range l.Circle {
		require.Equal(t, link.Wants, l.Circle[(i+1)%len(l.Circle)].Has)
		require.Contains(t, waiters, link.Has)
	}
}

func BenchmarkLocks(b *testing.B) {
	var text strings.Builder
	for i := range 10_000 {
		text.WriteString(at(i+100, "select", "main.(*T).g(0x10000, 0x20000)", "7", "main.(*T).h({0x1, 0x2}, 0x3?)", "8"))
	}
	text.WriteString(waiting(10, "0xc008", "main.(*T).f(0xc000, 0x1)", 5))
	dump := []byte(text.String())
	b.SetBytes(int64(len(dump)))
	for b.Loop() {
		Locks(dump, never)
	}
}
