package children

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAsk(t *testing.T) {
	var n int
	require.NoError(t, Ask(t.Context(), time.Second, &n, []string{"N=7"}, "sh", "-c", "echo $N"))
	assert.Equal(t, 7, n)
	for script, want := range map[string]string{
		"true":                      "it printed nothing; its standard error: ",
		"echo sorry >&2; exit 3":    "exit status 3; its standard error: sorry",
		"echo no JSON; echo so >&2": "invalid character 'o' in literal null (expecting 'u'); its standard error: so",
	} {
		assert.EqualError(t, Ask(t.Context(), time.Second, &n, nil, "sh", "-c", script), want)
	}
	assert.EqualError(t, Ask(t.Context(), -grace, &n, nil, "sh", "-c", "exit 0"), "it did not end within 0s; its standard error: ")
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
