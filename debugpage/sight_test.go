// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package debugpage

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/report"
)

// The page says what the findings cover, with everything, with each change, and
// at every beat: of a monitor that hangs, only beats come.
func TestThePageSaysWhatIsJudged(t *testing.T) {
	m := watched(t)
	recorder, _ := serve(t, m)
	p := &page{monitor: m, recorder: recorder}

	var all everything
	answer := httptest.NewRecorder()
	p.data(answer, httptest.NewRequest(http.MethodGet, "/data.json", nil))
	require.NoError(t, json.Unmarshal(answer.Body.Bytes(), &all))
	change, ok := recorder.Since(all.Seq)
	require.True(t, ok)

	beaten := httptest.NewRecorder()
	require.True(t, p.beat(&sender{w: beaten, control: http.NewResponseController(beaten), method: http.MethodGet}))
	data, ok := strings.CutPrefix(beaten.Body.String(), "event: sight\ndata: ")
	require.True(t, ok)
	var beat report.Sight
	require.NoError(t, json.Unmarshal([]byte(data), &beat))

	for _, s := range []*report.Sight{all.Sight, change.Sight, &beat} {
		require.Len(t, s.Detectors, len(m.Status().Detectors))
		for i, d := range m.Status().Detectors {
			assert.Equal(t, d.Detector, s.Detectors[i].Name)
			assert.Equal(t, d.Judging, s.Detectors[i].Judging)
			assert.Equal(t, string(d.Reason), s.Detectors[i].Reason)
		}
		assert.Contains(t, s.Summary, "Judging: ")
	}
}
