// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package pictures tells when the pictures of the documents are older than what they
// show. debugpage/browsertest makes them and records the sources they were made of.
package pictures

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	// Dir has the pictures and their record, below the root of the repository.
	Dir = "docs"
	// Variable is the environment variable that asks for new pictures.
	Variable = "PICTURES"
	// Command makes the pictures again.
	Command = "OTELGOROUTINE_REAL_PROGRAMS=1 " + Variable + "=1 go test -count=1 -timeout 20m ./debugpage/browsertest -run TestPictures"

	record = "pictures.json"
)

// sources are the files that decide what the pictures show: the page and the report, the
// screens of the example and of a watch, the service that they are of, and what is done
// with it. Tests are meant only where they are named.
var sources = []string{
	"internal/webui/assets/*.*", "internal/webui/assets/uplot/*.*", "internal/htmlreport/htmlreport.go",
	"example/faults.go", "example/load.go", "example/main.go", "example/service.go",
	"example/screen/*.go", "cmd/goroutines/internal/view/*.go",
	"debugpage/browsertest/pictures_test.go", "debugpage/browsertest/terminal_test.go",
}

// A Record says what pictures were made of.
type Record struct {
	Sources  string   `json:"sources"`  // as of Sources
	Pictures []string `json:"pictures"` // names of files
}

// Sources returns a hash of the sources in a repository.
func Sources(repository fs.FS) (string, error) {
	sum := sha256.New()
	for _, pattern := range sources {
		names, err := fs.Glob(repository, pattern)
		if err == nil && len(names) == 0 {
			err = fmt.Errorf("no file is named %s", pattern)
		}
		if err != nil {
			return "", err
		}
		for _, name := range names { // sorted
			if strings.HasSuffix(name, "_test.go") && name != pattern {
				continue
			}
			content, err := fs.ReadFile(repository, name)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(sum, "%s\n%s\n", name, bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n")))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// Read returns the record of the pictures in a repository.
func Read(repository fs.FS) (Record, error) {
	var r Record
	content, err := fs.ReadFile(repository, Dir+"/"+record)
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal(content, &r)
}

// Write records that pictures were made of the sources in the repository at root.
func Write(root string, pictures []string) error {
	sum, err := Sources(os.DirFS(root))
	if err != nil {
		return err
	}
	content, err := json.MarshalIndent(Record{sum, pictures}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, Dir, record), append(content, '\n'), 0o644)
}
