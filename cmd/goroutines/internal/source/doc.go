// Package source reads goroutine snapshots from files, standard input, and
// processes that serve net/http/pprof. It detects formats by content, never by
// name.
//
// Every input is bounded and every request has a deadline.
package source
