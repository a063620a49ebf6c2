// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package framepointer

import (
	"path"
	"slices"
	"strings"
)

// standardPackages are the packages of the standard library with assembly,
// which the runtime is made for: some of it sets up a frame pointer where there
// is none yet. A package that a newer release adds is judged like any other. A
// list, because the path of a module may look like that of a standard package.
var standardPackages = map[string]bool{
	"crypto/internal/boring/bcache":                true,
	"crypto/internal/boring/sig":                   true,
	"crypto/internal/fips140/aes":                  true,
	"crypto/internal/fips140/aes/gcm":              true,
	"crypto/internal/fips140/bigmod":               true,
	"crypto/internal/fips140/check/checktest":      true,
	"crypto/internal/fips140/edwards25519/field":   true,
	"crypto/internal/fips140/nistec":               true,
	"crypto/internal/fips140/sha256":               true,
	"crypto/internal/fips140/sha3":                 true,
	"crypto/internal/fips140/sha512":               true,
	"crypto/internal/fips140/subtle":               true,
	"crypto/md5":                                   true,
	"crypto/sha1":                                  true,
	"crypto/x509/internal/macos":                   true,
	"hash/crc32":                                   true,
	"internal/abi":                                 true,
	"internal/bytealg":                             true,
	"internal/chacha8rand":                         true,
	"internal/cpu":                                 true,
	"internal/reflectlite":                         true,
	"internal/runtime/atomic":                      true,
	"internal/runtime/gc/scan":                     true,
	"internal/runtime/maps":                        true, // Go 1.27
	"internal/runtime/startlinetest":               true,
	"internal/runtime/sys":                         true,
	"internal/runtime/syscall/linux":               true,
	"internal/runtime/syscall/windows":             true,
	"internal/syscall/unix":                        true,
	"math":                                         true,
	"math/big":                                     true,
	"os/signal":                                    true,
	"reflect":                                      true,
	"runtime":                                      true,
	"runtime/cgo":                                  true,
	"runtime/debug":                                true,
	"sync/atomic":                                  true,
	"syscall":                                      true,
	"vendor/golang.org/x/crypto/chacha20":          true,
	"vendor/golang.org/x/crypto/chacha20poly1305":  true,
	"vendor/golang.org/x/crypto/internal/poly1305": true,
	"vendor/golang.org/x/sys/cpu":                  true,
}

// library finds the standard library in the paths of source files, which differ
// from build to build: the directory of a file is the import path of its
// package, behind one prefix.
type library struct{ root string }

// newLibrary returns the library that a function of package runtime is in.
func newLibrary(all []function) library {
	i := slices.IndexFunc(all, func(f function) bool { return f.name == known })
	if i < 0 {
		return library{}
	}
	return library{strings.TrimSuffix(path.Dir(all[i].file), "runtime")}
}

// has reports whether a function is assembly of the standard library. The name
// does not tell: one that only its file knows has no package.
func (l library) has(f function) bool {
	inside, ok := strings.CutPrefix(f.file, l.root)
	return ok && standardPackages[path.Dir(inside)]
}
