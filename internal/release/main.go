// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

const usage = `usage: release COMMAND

  check [-final]    versions in lockstep, no replacements, nothing unpublished
                    is required; with -final also: changelog, hashes, clean tree
  tidy [-check]     go mod tidy in every module, or a report of what it would change
  version VERSION   set the version everywhere
  sums              write the hashes of our modules into every go.sum
  tag [-do]         show the tags of this release, or make them, signed
  checksums         print the hashes of the published modules, as in go.sum
  proxy DIR         write the published modules as a GOPROXY folder`

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "release: %v\n", err)
		os.Exit(1)
	}
}

// errUsage explains how to use the command.
var errUsage = errors.New("unknown command or wrong arguments\n" + usage)

// run executes the command in args in the repository that contains the current
// directory.
func run(args []string, out io.Writer) error {
	if len(args) == 0 {
		return errUsage
	}
	flags := flag.NewFlagSet(args[0], flag.ContinueOnError)
	flags.SetOutput(out)
	final := flags.Bool("final", false, "check: what must hold for the commit that is tagged")
	dry := flags.Bool("check", false, "tidy: change nothing, fail if something would change")
	do := flags.Bool("do", false, "tag: make the tags")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	r, err := open(".")
	if err != nil {
		return err
	}
	switch command := args[0]; {
	case command == "check" && flags.NArg() == 0:
		return check(r, *final)
	case command == "tidy" && flags.NArg() == 0:
		return tidy(r, *dry)
	case command == "version" && flags.NArg() == 1:
		return setVersion(r, flags.Arg(0))
	case command == "sums" && flags.NArg() == 0:
		return writeSums(r)
	case command == "tag" && flags.NArg() == 0:
		return tag(r, out, *do)
	case command == "checksums" && flags.NArg() == 0:
		return checksums(r, out)
	case command == "proxy" && flags.NArg() == 1:
		dir, err := filepath.Abs(flags.Arg(0))
		if err != nil {
			return err
		}
		return writeProxy(r, dir)
	}
	return errUsage
}
