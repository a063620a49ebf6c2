// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"errors"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVersionsWithTheBug(t *testing.T) {
	for version, broken := range map[string]bool{
		"go1.25.9": false, "go1.26": true, "go1.26rc1": true, "go1.26.0": true, "go1.26.5": true,
		"go1.26.3-custom": true, "go1.26.5 X:nodwarf5": true, "go1.26.6": false, "go1.26.10": false,
		"go1.26.8-custom": false, "go1.27": false, "go1.27.0": false, "go1.27.4": false, "go1.27rc1": true, "go1.27beta2": true, "go1.28rc1": false, "devel go1.27-abcdef": true, "go1.260.1": false,
		"devel go1.26-abcdef Tue": true, "devel go1.28-abcdef": false, "": false,
	} {
		assert.Equal(t, broken, isBroken(version), version)
	}
}

func TestTheLastSettingCounts(t *testing.T) {
	for setting, off := range map[string]bool{
		"": false, ",": false, "tracefpunwindoff=1": true, "x=1,tracefpunwindoff=1,y=2": true,
		"tracefpunwindoff=1,,tracefpunwindoff=0": false, "tracefpunwindoff=0,,tracefpunwindoff=1": true,
		"tracefpunwindoff=": false, "notracefpunwindoff=1": false,
	} {
		assert.Equal(t, off, isOff(setting), setting)
	}
}

func TestJudge(t *testing.T) {
	md5 := Function{Name: "github.com/minio/md5-simd.blockScalar", Package: "github.com/minio/md5-simd"}
	local := Function{Name: "body", File: "/cache/github.com/minio/md5-simd@v1.1.2/x.s"}
	modules := []*debug.Module{{Path: "github.com/minio/md5", Version: "v0.1.0"}, {Path: "github.com/minio/md5-simd", Version: "v1.1.2"}, {Path: "example.com/main"}}
	for _, tt := range []struct {
		name   string
		p      Program
		status Status
		reason string
		advice string
	}{
		{"sound", Program{GoVersion: "go1.26.8", GOARCH: "amd64"}, Safe, "no assembly", ""},
		{"spoils", Program{GoVersion: "go1.26.8", GOARCH: "amd64", Functions: []Function{md5}, Modules: modules}, Unsafe, "blockScalar", "replace module github.com/minio/md5-simd@v1.1.2"},
		{"spoils, name known to its file only", Program{GoVersion: "go1.26.8", GOARCH: "amd64", Functions: []Function{local}, Modules: modules}, Unsafe, "in body", "replace module github.com/minio/md5-simd@v1.1.2"},
		{"spoils, module unknown", Program{GoVersion: "go1.26.8", GOARCH: "amd64", Functions: []Function{md5}}, Unsafe, "blockScalar", "correct github.com/minio/md5-simd.blockScalar"},
		{"off", Program{GoVersion: "go1.26.5", GOARCH: "amd64", Functions: []Function{md5}, GODEBUG: "tracefpunwindoff=1"}, Safe, "GODEBUG", ""},
		{"bug", Program{GoVersion: "go1.26.5", GOARCH: "arm64"}, Unsafe, "go1.26.5", "build with Go 1.26.6 or newer"},
		{"unreadable", Program{GoVersion: "go1.26.8", GOARCH: "amd64", Err: errors.New("x")}, Undecided, "x", "GODEBUG=tracefpunwindoff=1"},
		{"spoils, in the module of the program", Program{GoVersion: "go1.26.8", GOARCH: "amd64", Functions: []Function{md5}, Modules: modules, main: modules[1]}, Unsafe, "blockScalar", "correct github.com/minio/md5-simd.blockScalar, or set GODEBUG=tracefpunwindoff=1"},
		{"spoils, with the bug", Program{GoVersion: "go1.26.5", GOARCH: "amd64", Functions: []Function{md5}, Modules: modules}, Unsafe, "blockScalar, and go1.26.5 leaves", "replace module github.com/minio/md5-simd@v1.1.2 and build with Go 1.26.6 or newer, or set"},
		{"spoils, and not all is known", Program{GoVersion: "go1.26.8", GOARCH: "amd64", Functions: []Function{md5}, Err: errors.New("x")}, Unsafe, "blockScalar", "correct"},
		{"other architecture", Program{GoVersion: "go1.26.5", GOARCH: "riscv64", Err: errors.New("x")}, Safe, "riscv64", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v := Judge(tt.p)
			assert.Equal(t, tt.status, v.Status)
			assert.Contains(t, v.Reason, tt.reason)
			assert.Equal(t, tt.status == Safe, v.Err() == nil)
			if tt.status != Safe {
				assert.Contains(t, v.Err().Error(), tt.advice)
			}
		})
	}
}

func TestLibrariesAreNotDecided(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Settings: []debug.BuildSetting{{Key: "-buildmode", Value: "c-shared"}, {Key: "GOARCH", Value: "amd64"}}}
	p := Program{GoVersion: info.GoVersion}
	p.take(info)
	p.scan(func() ([]Function, error) { return nil, nil })
	v := Judge(p)
	assert.Equal(t, Undecided, v.Status)
	assert.ErrorContains(t, v.Err(), "a library that another program loads")
}

// A mistake in reading must not reach the host.
func TestAPanicIsNotDecided(t *testing.T) {
	p := Program{GoVersion: "go1.26.8", GOARCH: "amd64"}
	p.scan(func() ([]Function, error) { panic("index out of range") })
	v := Judge(p)
	assert.Equal(t, Undecided, v.Status)
	assert.ErrorContains(t, v.Err(), "index out of range")
}

// This process has assembly of the standard library only.
func TestThisProcessIsSafe(t *testing.T) {
	functions, err := scanProcess()
	assert.NoError(t, err)
	assert.Empty(t, functions)
}
