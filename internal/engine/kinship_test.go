// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelgoroutine/go/detectors"
	"github.com/otelgoroutine/go/goroutine"
)

// frames returns frames, the innermost first, each as "function file:line".
func frames(all ...string) []goroutine.Frame {
	var fs []goroutine.Frame
	for _, text := range all {
		function, at, _ := strings.Cut(text, " ")
		file, line, _ := strings.Cut(at, ":")
		f := goroutine.Frame{Function: function, File: file}
		for _, digit := range line {
			f.Line = 10*f.Line + int(digit-'0')
		}
		fs = append(fs, f)
	}
	return fs
}

func waiting(state goroutine.State, all ...string) *detectors.Finding {
	return &detectors.Finding{Stack: goroutine.NewStack(frames(all...)), State: state, Stands: true, Count: 1}
}

const (
	library  = "/go/pkg/mod/example.com/lib@v1.2.0/lib.go"
	vendored = "/src/service/vendor/example.com/lib/lib.go"
	serve    = "net/http.(*conn).serve net/http/server.go:9"
	ask      = "example.com/service.ask ask.go:7"
)

func TestOneCall(t *testing.T) {
	for name, tc := range map[string]struct {
		a, b []string
		one  bool
	}{
		"at two depths of a library": {[]string{"lib.answer " + library + ":1", "lib.Call " + library + ":2", ask, serve}, []string{"lib.queue " + library + ":4", "lib.Call " + library + ":3", ask, serve}, true},
		"that is vendored":           {[]string{"lib.answer " + vendored + ":1", "lib.Call " + vendored + ":2", ask, serve}, []string{"lib.queue " + vendored + ":4", "lib.Call " + vendored + ":3", ask, serve}, true},
		"of the standard library":    {[]string{"net/http.(*persistConn).roundTrip t.go:1", "net/http.(*Client).Do c.go:2", ask, serve}, []string{"net/http.(*Transport).dial t.go:4", "net/http.(*Client).Do c.go:3", ask, serve}, true},
		"two calls on a line":        {[]string{"lib.answer " + library + ":1", "lib.Call " + library + ":2", ask, serve}, []string{"lib.queue " + library + ":4", "lib.Other " + library + ":3", ask, serve}, false},
		"two lines":                  {[]string{"lib.answer " + library + ":1", "lib.Call " + library + ":2", ask, serve}, []string{"lib.queue " + library + ":4", "lib.Call " + library + ":3", "example.com/service.ask ask.go:8", serve}, false},
		"two callers":                {[]string{"lib.answer " + library + ":1", "lib.Call " + library + ":2", ask, "example.com/service.a a.go:1", serve}, []string{"lib.queue " + library + ":4", "lib.Call " + library + ":3", ask, "example.com/service.b a.go:2", serve}, false},
		"the program is called back": {[]string{"example.com/service.a a.go:1", "lib.Next " + library + ":2", "example.com/service.log log.go:1", serve}, []string{"example.com/service.b a.go:2", "lib.Next " + library + ":2", "example.com/service.log log.go:1", serve}, false},
		"recursion":                  {[]string{"main.walk w.go:3", "main.walk w.go:5", "main.start w.go:1"}, []string{"main.walk w.go:3", "main.walk w.go:5", "main.walk w.go:5", "main.start w.go:1"}, true},
		"a helper of two":            {[]string{"main.send w.go:3", "main.a w.go:5"}, []string{"main.send w.go:3", "main.b w.go:6"}, false},
		"a library of two":           {[]string{"lib.wait " + library + ":1", "main.a w.go:5", serve}, []string{"lib.wait " + library + ":1", "main.b w.go:6", serve}, false},
		"nothing of the program":     {[]string{"lib.wait " + library + ":1", serve}, []string{"lib.wait " + library + ":2", "net/http.f f.go:1", serve}, false},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := waiting(goroutine.Select, tc.a...), waiting(goroutine.Select, tc.b...)
			assert.Equal(t, tc.one, oneCall(a, b))
			assert.Equal(t, tc.one, oneCall(b, a))
		})
	}
	same := waiting(goroutine.Select, ask, serve)
	assert.False(t, oneCall(same, waiting(goroutine.ChanSend, ask, serve)), "another state at one stack")
}

func TestWhatTheCodeRelates(t *testing.T) {
	by := func(f *detectors.Finding, function string) *detectors.Finding {
		f.CreatedBy = frames(function)[0]
		return f
	}
	handler := waiting(goroutine.ChanReceive, "main.total t.go:3", "main.orders.func1 t.go:2", serve)
	for name, tc := range map[string]struct {
		f, g      *detectors.Finding
		made, kin bool
	}{
		"written in it":         {handler, waiting(goroutine.ChanSend, "main.orders.func1.2 t.go:9"), true, true},
		"through an errgroup":   {handler, waiting(goroutine.ChanSend, "main.orders.func1.2 t.go:9", "golang.org/x/sync/errgroup.(*Group).Go.func1 /mod/golang.org/x/sync@v0.9.0/e.go:1"), true, true},
		"started in it":         {handler, by(waiting(goroutine.ChanSend, "main.feed f.go:9"), "main.total t.go:8"), true, true},
		"another's":             {handler, waiting(goroutine.ChanSend, "main.orders.func10 t.go:9"), false, false},
		"a name that begins so": {handler, waiting(goroutine.ChanSend, "main.totals t.go:9"), false, false},
		"by a server's loop":    {by(waiting(goroutine.Select, "main.a a.go:1", serve), "net/http.(*Server).Serve s.go:1"), by(waiting(goroutine.Select, "main.b a.go:2", serve), "net/http.(*Server).Serve s.go:1"), false, false},
		"by one go statement":   {by(waiting(goroutine.Select, "main.a a.go:1"), "main.start s.go:1"), by(waiting(goroutine.Select, "main.b a.go:2"), "main.start s.go:1"), false, true},
		"by two go statements":  {by(waiting(goroutine.Select, "main.a a.go:1"), "main.start s.go:1"), by(waiting(goroutine.Select, "main.b a.go:2"), "main.start s.go:2"), false, false},
	} {
		assert.Equal(t, tc.made, made(tc.f, tc.g), name)
		assert.Equal(t, tc.kin, related(tc.f, tc.g), name)
		assert.Equal(t, tc.kin, related(tc.g, tc.f), name)
	}
}

// TestWhichLeads has the reasons in their order.
func TestWhichLeads(t *testing.T) {
	c, y := newCompany(), yielding{"leak": {"hang"}}
	of := func(detector string, f *detectors.Finding, ids ...uint64) *detectors.Finding {
		f.Detector, f.IDs = detector, ids
		return f
	}
	wait := of("leak", waiting(goroutine.WaitGroupWait, "sync.(*WaitGroup).Wait w.go:1", "main.all a.go:1"), 1, 4, 7)
	task := of("leak", waiting(goroutine.ChanSend, "main.task a.go:5"), 2, 5, 8)
	maker := of("leak", waiting(goroutine.ChanSend, "main.a.func1 a.go:5", "main.a a.go:3"), 20, 30, 40)
	child := of("leak", waiting(goroutine.ChanSend, "main.a.func2 a.go:6"), 19, 30, 41)
	hang := of("hang", waiting(goroutine.Select, "main.h a.go:7"), 90)
	for name, pair := range map[string][2]*detectors.Finding{
		"explains more":            {hang, task},
		"does not wait for others": {task, wait},
		"made the others":          {maker, child},
		"is older":                 {task, maker},
	} {
		assert.True(t, c.before(pair[0], pair[1], y), name)
		assert.False(t, c.before(pair[1], pair[0], y), name)
	}
	c.leads[child.Identity()] = 1
	assert.True(t, c.before(child, maker, y), "what has led before")
	assert.False(t, c.before(child, hang, y))
}

// TestACompanyIsBounded has more findings than are compared, for a long time.
func TestACompanyIsBounded(t *testing.T) {
	c := newCompany()
	for step := range 40 {
		c.step()
		var all []*detectors.Finding
		var host []int
		for i := range 50 {
			f := waiting(goroutine.Select, "main.f"+strings.Repeat("x", step)+" f.go:1", "main.g"+strings.Repeat("y", i)+" g.go:1")
			f.Count = i
			all, host = append(all, f), append(host, i)
		}
		c.hosts(all, host, nil, nil)
		for i, h := range host {
			assert.Equal(t, i, h)
		}
		assert.LessOrEqual(t, len(c.pairs), maxPairs)
	}
}
