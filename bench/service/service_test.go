// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTheServiceAnswersFromCacheAndDatabase(t *testing.T) {
	s, err := openService(t.Context(), t.TempDir())
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.close()) }()
	ask := func(method, path, body string) (int, string) {
		w := httptest.NewRecorder()
		s.handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for range 3 {
		status, text := ask(http.MethodGet, "/items/4999", "")
		require.Equal(t, http.StatusOK, status, text)
		var it item
		require.NoError(t, json.Unmarshal([]byte(text), &it))
		assert.Equal(t, newItem(4999, 0), it)
	}
	assert.EqualValues(t, 1, s.reads.Load())
	assert.EqualValues(t, 2, s.hits.Load())

	changed, err := json.Marshal(newItem(5, 77))
	require.NoError(t, err)
	status, text := ask(http.MethodPut, "/items/5", string(changed))
	require.Equal(t, http.StatusOK, status, text)
	assert.EqualValues(t, 1, s.writes.Load())

	status, text = ask(http.MethodGet, "/items?from=4", "")
	require.Equal(t, http.StatusOK, status, text)
	var page []item
	require.NoError(t, json.Unmarshal([]byte(text), &page))
	require.Len(t, page, pageSize)
	assert.Equal(t, newItem(4, 0), page[0])
	assert.Equal(t, newItem(5, 77), page[1], "from the database, where it was written")

	for _, path := range []string{"/items/5000", "/items/x", "/items"} {
		status, _ := ask(http.MethodGet, path, "")
		assert.Equal(t, http.StatusInternalServerError, status, path)
	}
	status, _ = ask(http.MethodPut, "/items/5", "{")
	assert.Equal(t, http.StatusInternalServerError, status)
}
