// Package dotted has a dot in the last element of its import path, which the
// compiler escapes in symbol names.
package dotted

// Wait receives from c.
func Wait(c chan int) { <-c }
