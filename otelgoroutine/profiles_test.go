package otelgoroutine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/goroutine"
)

func TestProfilesKeepTheNewestAndTouchNothingElse(t *testing.T) {
	dir := t.TempDir()
	bystander := filepath.Join(dir, "of-another-program.pb.gz")
	require.NoError(t, os.WriteFile(bystander, []byte("x"), 0o600))
	p := &profiles{dir: dir, keep: 3}
	var last string
	for i := range 10 {
		s := &goroutine.Snapshot{Time: time.Unix(int64(1_700_000_000+i), 0), Total: 5, Groups: []goroutine.Group{
			{Stack: goroutine.NewStack([]goroutine.Frame{{Function: "main.f", File: "/f.go", Line: 3}}), State: goroutine.Select, Count: 5}}}
		var err error
		last, err = p.save(s, "leak", "0123456789abcdef")
		require.NoError(t, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	assert.Len(t, files, 4)
	assert.FileExists(t, bystander)
	assert.Contains(t, filepath.Base(last), "-leak-0123456789abcdef")

	f, err := os.Open(last)
	require.NoError(t, err)
	defer f.Close()
	prof, err := profile.Parse(f)
	require.NoError(t, err)
	assert.EqualValues(t, 5, prof.Sample[0].Value[0])
}

func TestAProfileThatCannotBeWrittenLeavesNothing(t *testing.T) {
	p := &profiles{dir: filepath.Join(t.TempDir(), "gone"), keep: 1}
	_, err := p.save(&goroutine.Snapshot{Time: time.Now()}, "leak", "1")
	assert.ErrorContains(t, err, "saving a profile")
}
