// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"errors"
	"fmt"
	"net/http"
)

// errNoClient is why an address is refused that an HTTP client cannot be told.
var errNoClient = errors.New("a Unix socket or a port that kubectl forwards; it must be host:port or a URL with http:// or https://")

// RemoteThrough returns the process at an address, which is requested through a client
// that the caller has made and keeps: of HTTP, only Timeout applies, and Close closes
// nothing. As with every Remote, redirects to another host are not followed, whatever the client
// says, because a client may add headers to every request.
func (r *Reader) RemoteThrough(client *http.Client, name string) (*Remote, error) {
	t, err := parseTarget(name)
	if err == nil && (t.resource != nil || t.socket != "") {
		err = errNoClient
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", withoutSecrets(name), err)
	}
	remote := r.remote(t)
	own := *client
	own.CheckRedirect, own.Timeout = sameHost, 0 // Remote says itself what took too long
	remote.client, remote.shared = &own, true
	remote.begin() // which keeps less
	return remote, nil
}

// CheckAddress checks an address for RemoteThrough. It returns the name of the process.
func CheckAddress(address string) (name string, err error) {
	remote, err := new(Reader).RemoteThrough(http.DefaultClient, address)
	if err != nil {
		return "", err
	}
	return remote.Name, nil
}
