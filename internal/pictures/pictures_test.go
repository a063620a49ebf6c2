// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pictures

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var repository = os.DirFS(filepath.Join("..", ".."))

func TestThePicturesAreNotOlderThanWhatTheyShow(t *testing.T) {
	r, err := Read(repository)
	require.NoError(t, err)
	now, err := Sources(repository)
	require.NoError(t, err)
	assert.Equal(t, now, r.Sources, "the pictures in %s are older than what they show; make them again, inspect them, and commit them:\n\t%s", Dir, Command)
}

// A clone of the repository has all pictures.
func TestThePicturesAreSmall(t *testing.T) {
	all, err := fs.Glob(repository, Dir+"/*.png")
	require.NoError(t, err)
	total := int64(0)
	for _, name := range all {
		info, err := fs.Stat(repository, name)
		require.NoError(t, err)
		total += info.Size()
	}
	assert.Less(t, total, int64(3<<20)/2)
}

func TestContributorsAreToldTheCommand(t *testing.T) {
	text, err := fs.ReadFile(repository, "CONTRIBUTING.md")
	require.NoError(t, err)
	assert.Contains(t, string(text), "`"+Command+"`")
}

// A picture that no document shows, one that is missing, and one that is not made by
// the command were forgotten.
func TestEveryPictureIsShown(t *testing.T) {
	r, err := Read(repository)
	require.NoError(t, err)
	require.NotEmpty(t, r.Pictures)
	files, err := fs.Glob(repository, Dir+"/*.png")
	require.NoError(t, err)
	var made []string
	for _, name := range r.Pictures {
		made = append(made, path.Join(Dir, name))
	}
	assert.Equal(t, files, made)
	shown := documents(t)
	for _, name := range made {
		assert.Contains(t, shown, "]("+name+")")
	}
}

// documents returns the documents, with the names of pictures as in the README.
func documents(t *testing.T) string {
	names, err := fs.Glob(repository, Dir+"/*.md")
	require.NoError(t, err)
	var text strings.Builder
	for _, name := range append(names, "README.md") {
		content, err := fs.ReadFile(repository, name)
		require.NoError(t, err)
		text.WriteString(inDir.ReplaceAllString(string(content), "]("+Dir+"/$1)"))
	}
	return text.String()
}

var inDir = regexp.MustCompile(`\]\(([^/()]+\.png)\)`)

func TestTheSourcesDecide(t *testing.T) {
	files := fstest.MapFS{}
	for _, pattern := range sources {
		files[strings.NewReplacer("*.*", "a.css", "*.go", "a.go").Replace(pattern)] = &fstest.MapFile{Data: []byte("a\n")}
	}
	sum := func() string {
		s, err := Sources(files)
		require.NoError(t, err)
		return s
	}
	before := sum()
	files["internal/webui/assets/a.css"] = &fstest.MapFile{Data: []byte("a\r\n")}
	assert.Equal(t, before, sum(), "line endings show nothing")
	files["example/screen/a_test.go"] = &fstest.MapFile{Data: []byte("a\n")}
	assert.Equal(t, before, sum(), "nor do tests")

	changed := make(map[string]bool)
	for _, name := range []string{"internal/webui/assets/a.css", "internal/webui/assets/b.css", "example/screen/a.go", "debugpage/browsertest/terminal_test.go"} {
		files[name] = &fstest.MapFile{Data: []byte("b\n")}
		assert.NotEqual(t, before, sum(), name)
		assert.False(t, changed[sum()], name)
		changed[sum()] = true
	}

	delete(files, "example/main.go")
	_, err := Sources(files)
	assert.EqualError(t, err, "no file is named example/main.go")
}

func TestARecordIsReadAsItWasWritten(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.CopyFS(root, copyOfSources(t)))
	require.NoError(t, os.Mkdir(filepath.Join(root, Dir), 0o700))
	require.NoError(t, Write(root, []string{"a.png"}))
	r, err := Read(os.DirFS(root))
	require.NoError(t, err)
	sum, err := Sources(os.DirFS(root))
	require.NoError(t, err)
	assert.Equal(t, Record{sum, []string{"a.png"}}, r)
}

func copyOfSources(t *testing.T) fstest.MapFS {
	files := fstest.MapFS{}
	for _, pattern := range sources {
		names, err := fs.Glob(repository, pattern)
		require.NoError(t, err)
		for _, name := range names {
			content, err := fs.ReadFile(repository, name)
			require.NoError(t, err)
			files[name] = &fstest.MapFile{Data: content}
		}
	}
	return files
}
