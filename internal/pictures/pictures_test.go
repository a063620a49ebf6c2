// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package pictures

import (
	"io/fs"
	"os"
	"path"
	"path/filepath"
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

// A picture that no page shows, and one that is missing, were forgotten.
func TestEveryPictureIsShown(t *testing.T) {
	r, err := Read(repository)
	require.NoError(t, err)
	page, err := fs.ReadFile(repository, Dir+"/live-page.md")
	require.NoError(t, err)
	require.NotEmpty(t, r.Pictures)
	for _, name := range r.Pictures {
		_, err := fs.Stat(repository, path.Join(Dir, name))
		assert.NoError(t, err)
		assert.Contains(t, string(page), "]("+name+")")
	}
}

func TestTheSourcesDecide(t *testing.T) {
	files := fstest.MapFS{}
	for _, pattern := range sources {
		files[strings.ReplaceAll(pattern, "*.*", "a.css")] = &fstest.MapFile{Data: []byte("a\n")}
	}
	sum := func() string {
		s, err := Sources(files)
		require.NoError(t, err)
		return s
	}
	before := sum()
	files["internal/webui/assets/a.css"] = &fstest.MapFile{Data: []byte("a\r\n")}
	assert.Equal(t, before, sum(), "line endings show nothing")
	files["internal/webui/assets/a.css"] = &fstest.MapFile{Data: []byte("b\n")}
	changed := sum()
	assert.NotEqual(t, before, changed)
	files["internal/webui/assets/b.css"] = &fstest.MapFile{Data: []byte("b\n")}
	assert.NotEqual(t, changed, sum())

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
