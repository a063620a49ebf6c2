package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelgoroutine/go/internal/framepointer"
)

// spoiling builds a program with assembly that spoils the frame pointer.
func spoiling(t *testing.T, env []string, flags ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":    "module example.test/spoiling\n\ngo 1.26.0\n",
		"main.go":   "package main\n\nfunc spoil()\n\nfunc main() { spoil() }\n",
		"s_amd64.s": "TEXT ·spoil(SB), 4, $0\n\tMOVQ $1, BP\n\tRET\n",
		"s_arm64.s": "TEXT ·spoil(SB), 4, $0\n\tMOVD $1, R29\n\tRET\n",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	c := exec.Command("go", append(append([]string{"build", "-o", "program"}, flags...), ".")...)
	c.Dir, c.Env = dir, append(append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0"), env...)
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	return filepath.Join(dir, "program")
}

func TestCheckNamesWhatSpoils(t *testing.T) {
	for name, tt := range map[string]struct{ env, flags []string }{
		"plain":         {[]string{"GOOS=linux", "GOARCH=amd64"}, nil},
		"stripped":      {[]string{"GOOS=linux", "GOARCH=amd64"}, []string{"-ldflags=-s -w", "-trimpath"}},
		"PIE":           {[]string{"GOOS=linux", "GOARCH=amd64"}, []string{"-buildmode=pie"}},
		"linux/arm64":   {[]string{"GOOS=linux", "GOARCH=arm64"}, nil},
		"darwin/arm64":  {[]string{"GOOS=darwin", "GOARCH=arm64"}, nil},
		"windows/amd64": {[]string{"GOOS=windows", "GOARCH=amd64"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := call(t, "", "check", "--format", "json", spoiling(t, tt.env, tt.flags...))
			assert.Equal(t, statusFindings, status, stderr)
			var v framepointer.Verdict
			require.NoError(t, json.Unmarshal([]byte(stdout), &v))
			assert.Equal(t, framepointer.Unsafe, v.Status)
			require.Len(t, v.Functions, 1)
			assert.Equal(t, "main.spoil", v.Functions[0].Name)
		})
	}
}

func TestCheckOfASoundProgram(t *testing.T) {
	binary, err := targetBinary()
	require.NoError(t, err)
	status, stdout, stderr := call(t, "", "check", binary)
	assert.Zero(t, status, stderr)
	assert.Contains(t, stdout, "safe to trace")
}

func TestCheckOfWhatIsNoProgram(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"check", "/does/not/exist"}, {"check", "check_test.go"}, {"check", "--format", "yaml", "x"}} {
		status, _, stderr := call(t, "", args...)
		assert.Equal(t, statusBad, status)
		assert.NotEmpty(t, stderr)
	}
}
