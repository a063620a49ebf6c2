// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/detectors"
)

// sections returns the dumps of a file of testdata, by name, and the names in order.
func sections(t *testing.T, name string) (dumps map[string]string, names []string) {
	t.Helper()
	dumps = make(map[string]string)
	for part := range strings.SplitSeq("\n"+fixture(t, name), "\n-- ") {
		title, dump, ok := strings.Cut(part, " --\n")
		if ok {
			dumps[title], names = dump, append(names, title)
		}
	}
	return dumps, names
}

// A kind of crash is what is said about it, without lines and IDs.
type kind struct {
	confidence detectors.Confidence
	message    string
}

var lineOrID = regexp.MustCompile(`\.go:\d+|goroutine \d+|main\.(init\.|glob\.\.)\w*func\d+(\.\d+)*`)

// several and sameInAll are what differs between versions or runs, and does not matter.
var (
	several   = regexp.MustCompile(`\d+ goroutines are`)
	sameInAll = strings.NewReplacer("main.odd, main.even", "main.even, main.odd", "runtime error: panic called", "panic called")
)

// Each kind of crash is told alike for each version of Go.
func TestKindsOfCrashes(t *testing.T) {
	files, err := filepath.Glob("testdata/kinds/go*.txt.gz")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 4)
	for _, file := range files {
		version := strings.TrimSuffix(filepath.Base(file), ".txt.gz")
		dumps, names := sections(t, "kinds/"+version)
		assert.GreaterOrEqual(t, len(names), len(kinds)-1, version)
		for _, name := range names {
			found := parsed(t, dumps[name])
			require.NotEmpty(t, found, "%s %s", version, name)
			said := lineOrID.ReplaceAllStringFunc(found[0].Message, func(s string) string {
				switch {
				case strings.HasPrefix(s, ".go"):
					return ".go"
				case strings.HasPrefix(s, "goroutine"):
					return "goroutine"
				}
				return "func"
			})
			said = sameInAll.Replace(several.ReplaceAllString(said, "goroutines are"))
			want := kinds[name]
			assert.Equal(t, want.message, said, "%s %s", version, name)
			assert.Equal(t, want.confidence, found[0].Confidence, "%s %s", version, name)
		}
	}
}

// kinds has what is said about each kind, without lines and IDs.
var kinds = map[string]kind{
	"panic-nil-pointer":           {detectors.Certain, "Panic in goroutine (main) at main.(*session).greeting (main.go): runtime error: invalid memory address or nil pointer dereference."},
	"panic-nil-field":             {detectors.Certain, "Panic in goroutine (main) at main.(*session).id (main.go): runtime error: invalid memory address or nil pointer dereference."},
	"panic-nil-function":          {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: invalid memory address or nil pointer dereference."},
	"panic-nil-map":               {detectors.Certain, "Panic in goroutine (main) at func (main.go): assignment to entry in nil map."},
	"panic-index":                 {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: index out of range [5] with length 3."},
	"panic-slice":                 {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: slice bounds out of range [5:3]."},
	"panic-slice-to-array":        {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: cannot convert slice with length 3 to array or pointer to array with length 4."},
	"panic-divide":                {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: integer divide by zero."},
	"panic-shift":                 {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: negative shift amount."},
	"panic-make":                  {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: makeslice: len out of range."},
	"panic-conversion":            {detectors.Certain, "Panic in goroutine (main) at func (main.go): interface conversion: interface {} is string, not int."},
	"panic-missing-method":        {detectors.Certain, "Panic in goroutine (main) at func (main.go): interface conversion: string is not fmt.Stringer: missing method String."},
	"panic-nil-conversion":        {detectors.Certain, "Panic in goroutine (main) at func (main.go): interface conversion: interface {} is nil, not int."},
	"panic-unhashable":            {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: hash of unhashable type []int."},
	"panic-compare":               {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: comparing uncomparable type []int."},
	"panic-close-closed":          {detectors.Certain, "Panic in goroutine (main) at func (main.go): close of closed channel."},
	"panic-close-nil":             {detectors.Certain, "Panic in goroutine (main) at func (main.go): close of nil channel."},
	"panic-send-closed":           {detectors.Certain, "Panic in goroutine (main) at func (main.go): send on closed channel."},
	"panic-wait-group":            {detectors.Certain, "Panic in goroutine (main) at func (main.go): sync: negative WaitGroup counter."},
	"panic-string":                {detectors.Certain, "Panic in goroutine (main) at func (main.go): no route to warehouse."},
	"panic-error":                 {detectors.Certain, "Panic in goroutine (main) at func (main.go): loading: permission denied."},
	"panic-lines":                 {detectors.Certain, "Panic in goroutine (main) at func (main.go): first line …."},
	"panic-text-of-a-dump":        {detectors.Certain, "Panic in goroutine (main) at func (main.go): worker failed."},
	"panic-struct":                {detectors.Certain, "Panic in goroutine (main) at func (main.go): (main.session) 0x…."},
	"panic-int":                   {detectors.Certain, "Panic in goroutine (main) at func (main.go): main.number(7)."},
	"panic-nil":                   {detectors.Certain, "Panic in goroutine (main) at func (main.go): panic called with nil argument."},
	"panic-error-that-panics":     {detectors.Certain, "Fatal error of the runtime in goroutine (main) at func (main.go): panic while printing panic value: type runtime.errorString."},
	"panic-recovered-again":       {detectors.Certain, "Panic in goroutine (main) at main.repanicked (main.go): the first and the only one."},
	"panic-recovered-other":       {detectors.Certain, "Panic in goroutine (main) at func (main.go): first."},
	"panic-deferred":              {detectors.Certain, "Panic in goroutine (main) at func (main.go): first."},
	"panic-deferred-twice":        {detectors.Certain, "Panic in goroutine (main) at func (main.go): first."},
	"panic-after-goexit":          {detectors.Certain, "Panic in goroutine at func (main.go): while it ended."},
	"panic-address":               {detectors.Certain, "Panic in goroutine (main) at func (main.go): runtime error: invalid memory address or nil pointer dereference."},
	"panic-in-handler":            {detectors.Certain, "A panic in an HTTP handler, which net/http recovered, in goroutine at main.(*session).greeting (main.go): runtime error: invalid memory address or nil pointer dereference."},
	"fatal-map-writes":            {detectors.Certain, "Data race on a map: concurrent map writes, found in goroutine at main.tally (main.go). The runtime ended the process."},
	"fatal-map-read-and-write":    {detectors.Certain, "Data race on a map: concurrent map read and map write, found in goroutine (main) at main.read (main.go). The runtime ended the process."},
	"fatal-map-iteration":         {detectors.Certain, "Data race on a map: concurrent map iteration and map write, found in goroutine (main) at main.iterate (main.go). The runtime ended the process."},
	"fatal-unlock":                {detectors.Certain, "Fatal error of the runtime in goroutine (main) at func (main.go): sync: unlock of unlocked mutex."},
	"fatal-rw-unlock":             {detectors.Certain, "Fatal error of the runtime in goroutine (main) at func (main.go): sync: Unlock of unlocked RWMutex."},
	"fatal-rw-runlock":            {detectors.Certain, "Fatal error of the runtime in goroutine (main) at func (main.go): sync: RUnlock of unlocked RWMutex."},
	"fatal-asleep-receive":        {detectors.Certain, "Deadlock: goroutine (main) waits in chan receive at func (main.go), and no other goroutine is left that could send or close the channel."},
	"fatal-asleep-nil-channel":    {detectors.Certain, "Deadlock: goroutine (main) waits in chan receive (nil chan) at func (main.go), which nothing can ever end, and no other goroutine is left."},
	"fatal-asleep-select":         {detectors.Certain, "Deadlock: goroutine (main) waits in select (no cases) at func (main.go), which nothing can ever end, and no other goroutine is left."},
	"fatal-asleep-cases":          {detectors.Certain, "Deadlock: goroutine (main) waits in select at func (main.go), and no other goroutine is left that could serve one of its cases."},
	"fatal-asleep-mutex":          {detectors.Certain, "Deadlock: goroutine (main) waits in sync.Mutex.Lock at func (main.go), and no other goroutine is left that could unlock."},
	"fatal-asleep-rwmutex":        {detectors.Certain, "Deadlock: goroutine (main) waits in sync.RWMutex.Lock at func (main.go), and no other goroutine is left that could unlock."},
	"fatal-asleep-group":          {detectors.Certain, "Deadlock: all 2 goroutines of the process are blocked; the runtime found that none can ever run again."},
	"fatal-asleep-cond":           {detectors.Certain, "Deadlock: goroutine (main) waits in sync.Cond.Wait at func (main.go), and no other goroutine is left that could signal."},
	"fatal-goexit":                {detectors.Certain, "The main goroutine called runtime.Goexit, and all others ended: nothing is left that can end the process."},
	"fatal-goexit-others":         {detectors.Certain, "Deadlock: goroutine waits in select (no cases) at func (main.go), which nothing can ever end, and no other goroutine is left."},
	"fatal-stack-overflow":        {detectors.Certain, "Stack overflow in goroutine (main): most likely unbounded recursion through main.deeper."},
	"fatal-stack-overflow-of-two": {detectors.Certain, "Stack overflow in goroutine (main): most likely unbounded recursion through main.even, main.odd."},
	"fatal-out-of-memory":         {detectors.Certain, "The process ran out of memory (out of memory): an allocation of goroutine (main) failed at func (main.go)."},
	"fatal-threads":               {detectors.Certain, "The process needed more threads than its limit: goroutines are in a system call or in C at main.threads.func1 (main.go)."},
	"fatal-fault":                 {detectors.Certain, "Memory fault in goroutine (main) at func (main.go), which no recover can catch: SIGSEGV: segmentation violation."},
	"fatal-bus":                   {detectors.Certain, "Memory fault in goroutine (main) at main.bus (main.go), which no recover can catch: SIGBUS: bus error."},
	"signal-quit":                 {detectors.Info, "The process was ended by SIGQUIT, which asks for this dump: it did not crash by itself."},
	"signal-abort":                {detectors.Info, "The process was ended by SIGABRT: abort, which a process sent: it did not crash by itself."},
	"signal-segv-sent":            {detectors.Info, "The process was ended by SIGSEGV: segmentation violation, which a process sent: it did not crash by itself."},
	"signal-fpe-sent":             {detectors.Info, "The process was ended by SIGFPE: floating-point exception, which a process sent: it did not crash by itself."},
	"signal-ill-sent":             {detectors.Info, "The process was ended by SIGILL: illegal instruction, which a process sent: it did not crash by itself."},
	"signal-trap":                 {detectors.Certain, "The process was ended by SIGTRAP: trace trap, which an instruction raised, in goroutine (main) at func (main.go)."},
	"race":                        {detectors.Certain, "Data race: read by goroutine at main.race.func1 (main.go) and previous write by goroutine at main.race (main.go), without synchronization in between."},
	"fatal-checkptr":              {detectors.Certain, "Fatal error of the runtime in goroutine (main) at main.straddles (main.go): checkptr: converted pointer straddles multiple allocations."},
	"c-segv":                      {detectors.Certain, "The process was ended by SIGSEGV: segmentation violation while goroutine (main) ran C code, called at func (main.go)."},
	"c-abort":                     {detectors.Certain, "The process was ended by SIGABRT: abort while goroutine (main) ran C code, called at func (main.go)."},
	"c-ill":                       {detectors.Certain, "The process was ended by SIGILL: illegal instruction while goroutine (main) ran C code, called at func (main.go)."},
	"c-fpe":                       {detectors.Certain, "The process was ended by SIGFPE: floating-point exception while goroutine (main) ran C code, called at func (main.go)."},
}

// wrappings are what logs do to a crash.
var wrappings = map[string]func(line string, number int) string{
	"a prefix": func(line string, _ int) string { return "web-1  | " + line },
	"a prefix with a time": func(line string, n int) string {
		return fmt.Sprintf("2026-11-27T09:00:%02d.%09dZ stderr F %s", n%60, n, line)
	},
	"records of JSON": func(line string, n int) string {
		text, _ := json.Marshal(line + "\n")
		return fmt.Sprintf(`{"log":%s,"stream":"stderr","time":"2026-11-27T09:00:%02dZ"}`, text, n%60)
	},
	"spaces": func(line string, _ int) string { return strings.ReplaceAll(line, "\t", "    ") },
}

// In a log, a crash is told as it is alone.
func TestCrashesInLogs(t *testing.T) {
	dumps, names := sections(t, "kinds/go1.26")
	for _, name := range names {
		if name == "fatal-goexit" { // without the header of a goroutine, nothing tells a prefix
			continue
		}
		want := parsed(t, dumps[name])[0].Message
		for wrapping, wrap := range wrappings {
			lines := []string{wrap("starting", 0), wrap("listening on :8080", 1)}
			for i, line := range strings.Split(strings.TrimSpace(dumps[name]), "\n") {
				lines = append(lines, wrap(line, i+2))
			}
			if found := parsed(t, strings.Join(lines, "\n")+"\n"); assert.NotEmpty(t, found, "%s in %s", name, wrapping) {
				assert.Equal(t, want, found[0].Message, "%s in %s", name, wrapping)
			}
		}
	}
}
