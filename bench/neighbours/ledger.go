// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"
	"sync"
)

// maxFaults bounds how many faults a ledger describes; it counts all.
const maxFaults = 10

// A ledger counts what a neighbour delivered. It is safe for concurrent use.
type ledger struct {
	name string
	unit string // a piece of its data

	checks sync.WaitGroup // in progress

	mu     sync.Mutex
	pieces int
	bytes  int64
	wrong  int
	faults []string
	notes  []string // for the table
}

// piece notes a piece of data, and what is wrong with it.
func (l *ledger) piece(size int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pieces++
	l.bytes += int64(size)
	if err != nil {
		l.faultLocked(err.Error())
	}
}

func (l *ledger) fault(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.faultLocked(fmt.Sprintf(format, args...))
}

func (l *ledger) faultLocked(text string) {
	if l.wrong++; len(l.faults) < maxFaults {
		l.faults = append(l.faults, text)
	}
}

// note adds a text to the table.
func (l *ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

func (l *ledger) counts() (pieces int, bytes int64, wrong int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pieces, l.bytes, l.wrong
}

func (l *ledger) faultList() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := slices.Clone(l.faults)
	if l.wrong > len(list) {
		list = append(list, fmt.Sprintf("and %d more", l.wrong-len(list)))
	}
	return list
}

func (l *ledger) noteList() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.notes)
}
