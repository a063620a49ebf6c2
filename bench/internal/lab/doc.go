// Package lab is what the programs that measure have in common: the machine
// that they run on, what their process uses, figures as text, and verdicts on
// what we promise.
package lab
