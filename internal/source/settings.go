// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

// Settings are the names that settings have in the program that uses a Reader. Errors
// say by them what to change.
type Settings struct {
	Timeout     string
	Login       string // user, password, headers
	Trust       string // which server certificates are trusted
	Certificate string // of the client
	MaxSize     string
	Endpoint    string
	Dump        string // Endpoint, set to Dump
	Proxy       string
}

// flags are the settings of the command.
var flags = Settings{
	Timeout:     "--timeout",
	Login:       "--user and --header",
	Trust:       "--ca, --server-name, --insecure",
	Certificate: "--cert, --key",
	MaxSize:     "--max-size",
	Endpoint:    "--endpoint",
	Dump:        "--endpoint dump",
	Proxy:       "HTTP_PROXY or HTTPS_PROXY",
}

// settings returns the names of the settings: the flags of the command unless the
// program has others.
func (r *Reader) settings() *Settings {
	if r.Settings != nil {
		return r.Settings
	}
	return &flags
}
