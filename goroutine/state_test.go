// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package goroutine

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCategories(t *testing.T) {
	for state, want := range map[State]struct {
		category             Category
		lock, never, blocked bool
	}{
		Running:         {CategoryRunning, false, false, false},
		Runnable:        {CategoryRunning, false, false, false},
		Syscall:         {CategorySyscall, false, false, false},
		Waiting:         {CategoryParked, false, false, true},
		ChanReceive:     {CategoryChannel, false, false, true},
		ChanReceiveNil:  {CategoryChannel, false, true, true},
		ChanSend:        {CategoryChannel, false, false, true},
		ChanSendNil:     {CategoryChannel, false, true, true},
		Select:          {CategoryChannel, false, false, true},
		SelectNoCases:   {CategoryChannel, false, true, true},
		MutexLock:       {CategoryMutex, true, false, true},
		RWMutexLock:     {CategoryMutex, true, false, true},
		RWMutexRLock:    {CategoryMutex, true, false, true},
		WaitGroupWait:   {CategoryMutex, false, false, true},
		CondWait:        {CategoryMutex, false, false, true},
		Semacquire:      {CategoryMutex, false, false, true},
		IOWait:          {CategoryNetwork, false, false, true},
		Sleep:           {CategoryTimer, false, false, true},
		Coroutine:       {CategoryOther, false, false, true},
		"of a later Go": {CategoryOther, false, false, true},
		"":              {CategoryOther, false, false, true},
	} {
		assert.Equal(t, want.category, state.Category(), state)
		assert.Equal(t, want.lock, state.Lock(), state)
		assert.Equal(t, want.never, state.Never(), state)
		assert.Equal(t, want.blocked, state.Blocked(), state)
	}
}

// TestStatesAreTheRuntimes compares the words with the source of the runtime.
func TestStatesAreTheRuntimes(t *testing.T) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	require.NoError(t, err)
	source := filepath.Join(strings.TrimSpace(string(root)), "src", "runtime")
	words := make(map[State]bool)
	for _, file := range []string{"runtime2.go", "traceback.go"} {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(source, file), nil, 0)
		if err != nil {
			t.Skip("no source of the runtime here: ", err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && !strings.HasPrefix(literal.Value, "`") {
				word, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				words[State(word)] = true
			}
			return true
		})
	}
	require.True(t, words["GC worker (idle)"], "the words are where they were")
	for state := range facts {
		assert.True(t, words[state], "%q is not a word of the runtime's", state)
	}
	for _, state := range []State{Waiting, Coroutine} {
		assert.True(t, words[state], "%q is not a word of the runtime's", state)
	}
}
