// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package words

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestReceiver(t *testing.T) {
	for function, want := range map[string]string{
		"net/http.(*conn).serve":            "net/http.(*conn)",
		"net/http.(*conn).serve.func1":      "net/http.(*conn)",
		"example.com/a.(*Pool[...]).get":    "example.com/a.(*Pool[...])",
		"example.com/a.Value.method":        "",
		"example.com/a.function.func1":      "",
		"example.com/a.(*unfinished":        "",
		"gopkg.in/yaml%2ev3.(*parser).peek": "gopkg.in/yaml%2ev3.(*parser)",
		"":                                  "",
	} {
		assert.Equal(t, want, Receiver(function), function)
	}
}
