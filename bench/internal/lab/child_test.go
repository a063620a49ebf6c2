// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package lab

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain lets the test binary be a child.
func TestMain(m *testing.M) {
	Child(func(order string) (any, error) {
		switch order {
		case "count":
			os.Stdout = os.Stderr
			fmt.Println("code under test may print")
			return 7, nil
		case "fail":
			return nil, errors.New("sorry")
		case "exit":
			os.Exit(0)
		}
		return "no number", nil
	})
	os.Exit(m.Run())
}

func TestAsk(t *testing.T) {
	var n int
	require.NoError(t, Ask(t.Context(), time.Second, "", "count", &n))
	assert.Equal(t, 7, n)
	for order, want := range map[string]string{
		"exit": "it printed nothing; its standard error: ",
		"fail": "exit status 1; its standard error: sorry",
		"text": "json: cannot unmarshal string into Go value of type int; its standard error: ",
	} {
		assert.EqualError(t, Ask(t.Context(), time.Second, "", order, &n), want)
	}
	assert.EqualError(t, Ask(t.Context(), -Grace, "", "count", &n), "it did not end within 0s; its standard error: ")
}

func TestTail(t *testing.T) {
	assert.Equal(t, "abc", Tail(" abc\n", 9))
	assert.Equal(t, "…cd", Tail("abcd", 2))
}

func TestSideBySide(t *testing.T) {
	var now, most atomic.Int32
	var told strings.Builder
	SideBySide(10, 3, func(int) {
		for n := now.Add(1); ; {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		now.Add(-1)
	}, func(_, done int) { told.WriteByte('0' + byte(done%10)) })
	assert.Equal(t, "1234567890", told.String())
	assert.LessOrEqual(t, most.Load(), int32(3))
}
