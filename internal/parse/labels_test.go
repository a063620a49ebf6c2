// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package parse

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRemovingLabelsFromADump(t *testing.T) {
	for with, without := range map[string]string{
		"goroutine 7 [chan receive, 2 minutes]:":                                       "goroutine 7 [chan receive, 2 minutes]:",
		`goroutine 7 [chan receive, 2 minutes labels:{"user": "secret"}]:`:             "goroutine 7 [chan receive, 2 minutes]:",
		`goroutine 7 [running labels:{"a]b": "sec}ret", "c": "se\"cr,et"}]:`:           "goroutine 7 [running]:",
		`goroutine 7 gp=0xc000006380 m=0 mp=0x1 [chan send]{user: secret, b: c}:`:      "goroutine 7 gp=0xc000006380 m=0 mp=0x1 [chan send]:",
		`goroutine 7 [select, 3 minutes, locked to thread]{"x y": "secret:]}", b: c}:`: "goroutine 7 [select, 3 minutes, locked to thread]:",
		`goroutine 7 [select]{user: secret`:                                            "goroutine 7 [select]",
		"main.f({0x1, 0x2})":                                                           "main.f({0x1, 0x2})",
	} {
		for _, rest := range []string{"\n", "\nmain.main({0x1})\n\t/src/main.go:7 +0x1d\n"} {
			got := string(WithoutLabels([]byte(with + rest)))
			assert.Equal(t, without+rest, got)
			assert.NotContains(t, got, "secret")
		}
	}
	assert.Equal(t, "goroutine 1 [running]:\n\ngoroutine 2 [select]:\nmain.f()",
		string(WithoutLabels([]byte("goroutine 1 [running]{a: b}:\n\ngoroutine 2 [select labels:{\"c\": \"d\"}]:\nmain.f()"))))
	assert.Empty(t, WithoutLabels(nil))
}

// What is read from a dump is the same without its labels.
func TestADumpWithoutLabelsIsReadAsBefore(t *testing.T) {
	dump := "goroutine 7 [chan receive, 2 minutes]{user: \"a,]b\"}:\nmain.main()\n\t/src/main.go:7 +0x1d\n\n" +
		"goroutine 8 [sync.Mutex.Lock, locked to thread]{user: u}:\nmain.f()\n\t/src/main.go:9 +0x1d\ncreated by main.main in goroutine 7\n\t/src/main.go:3 +0x5\n"
	want, err := Text(strings.NewReader(dump), time.Unix(1, 0), NewStacks(), nil)
	require.NoError(t, err)
	got, err := Text(strings.NewReader(string(WithoutLabels([]byte(dump)))), time.Unix(1, 0), NewStacks(), nil)
	require.NoError(t, err)
	assert.Equal(t, want.Groups, got.Groups)
	assert.Equal(t, 2, got.Total)
}
