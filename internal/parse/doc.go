// Package parse turns bytes into snapshots: execution traces ([TraceDecoder]),
// pprof profiles ([Profile], and as text [Debug1]) and goroutine dumps ([Text]).
//
// It asks the runtime nothing and knows no clock, so that the bytes of another
// process, or of a file, are read by the same code as our own. Every parser is
// fuzzed: whatever the input, it returns, with what could be read and an error
// that names what could not and where.
//
// A state is derived from the frames at the leaf of a stack, by the table in
// states.go. Stacks are shared between snapshots through [Stacks], births are
// counted through [goroutine.Births], and [finish] bounds and orders what a parser found.
package parse
