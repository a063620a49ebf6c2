// Package parse turns bytes into snapshots: execution traces ([TraceDecoder]),
// pprof profiles ([Profile], and as text [Debug1]) and goroutine dumps ([Text]).
//
// It asks the runtime nothing and has no clock, so that input from another
// process or a file is read by the same code as that from our own. Every parser
// is fuzzed. For any input it returns what could be read, and an error that says
// what could not and where.
//
// A state is derived from the frames at the leaf of a stack, by the tables in
// states.go. Snapshots share stacks through [Stacks], [goroutine.Births] knows
// when goroutines were born, and [finish] orders and bounds what a parser found.
package parse
