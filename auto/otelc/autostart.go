// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// This file is added to the program's package main by the rule in otelc.yaml.

package main

import _ "github.com/otelgoroutine/go/auto"
