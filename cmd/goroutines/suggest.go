// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/otelgoroutine/go/internal/source"
)

// closest returns the accepted word that was most likely meant, or "" if none resembles
// what was given. One letter in three may differ, two at most in a short word.
func closest(given string, accepted []string) string {
	given = strings.ToLower(given)
	best, least := "", 1+max(len(given)/4, min(2, len(given)/3))
	for _, word := range accepted {
		lower := strings.ToLower(word)
		n := levenshtein.ComputeDistance(given, lower)
		if len(given) > 2 && strings.HasPrefix(lower, given) {
			n = min(n, 1)
		}
		if n < least || n == least && best != "" && len(word) == len(given) {
			best, least = word, n
		}
	}
	return best
}

// didYouMean returns a clause with what was most likely meant, or "".
func didYouMean(given string, accepted []string) string {
	if word := closest(given, accepted); word != "" {
		return fmt.Sprintf("; did you mean %q?", word)
	}
	return ""
}

// checkValue returns an error unless the value of a flag is accepted.
func checkValue(flag, value string, accepted []string) error {
	if slices.Contains(accepted, value) {
		return nil
	}
	return unknownValue(flag, value, accepted)
}

func unknownValue(flag, value string, accepted []string) error {
	meant := didYouMean(value, accepted)
	return fmt.Errorf("%s %q is unknown%s%s it must be %s", flag, value, meant, separator(meant), oneOf(accepted))
}

// separator returns what stands between a clause of didYouMean and the next one.
func separator(meant string) string {
	if meant == "" {
		return ";"
	}
	return ""
}

// oneOf lists words: "a, b or c".
func oneOf(words []string) string {
	last := len(words) - 1
	if last == 0 {
		return words[0]
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// noCommand is the check of the root command's arguments: it has none.
func noCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	names := commandNames(root)
	meant := didYouMean(args[0], names)
	if _, err := os.Stat(args[0]); meant == "" && (err == nil || source.IsURL(args[0])) {
		meant = fmt.Sprintf("; did you mean %q?", "goroutines report "+args[0])
	}
	return fmt.Errorf("unknown command %q%s%s it must be %s", args[0], meant, separator(meant), oneOf(names))
}

// flagError adds to the error about an unknown flag which one was most likely meant.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	given := strings.TrimLeft(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "-")
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	meant := didYouMean("--"+given, names)
	return fmt.Errorf("%w%s%s %s --help lists the flags", err, meant, separator(meant), c.CommandPath())
}

// completeWords completes the value of a flag.
func completeWords(c *cobra.Command, flag string, words func() []string) {
	if c.Flags().Lookup(flag) == nil {
		return
	}
	err := c.RegisterFlagCompletionFunc(flag, func(_ *cobra.Command, _ []string, given string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return beginning(words(), given), cobra.ShellCompDirectiveNoFileComp
	})
	if err != nil {
		panic(err) // the flag has two completions
	}
}

// fixed returns a function that returns words.
func fixed(words ...string) func() []string { return func() []string { return words } }

// beginning returns the words that begin with what was given, in any case.
func beginning(words []string, given string) []string {
	return slices.DeleteFunc(slices.Clone(words), func(word string) bool {
		return !strings.HasPrefix(strings.ToLower(word), strings.ToLower(given))
	})
}
