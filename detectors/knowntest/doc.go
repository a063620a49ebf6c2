// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package knowntest checks [detectors.KnownGood], the list of stacks that wait
// by design, against the libraries in the list. It runs their servers, clients,
// pools, subscriptions and exporters over the loopback interface. It is a
// separate module because of its dependencies, and contains only tests.
//
// The tests check three things. Every function that the list names occurs in a
// stack that the list matches, in this Go version and these versions of the
// libraries. Fleets of clients, connections and streams that start and stay are
// not reported. Resources that are created again and again and never closed are
// found, even if an entry of the list matches their stacks.
//
// The snapshots are real, but the time between them is not: each snapshot counts
// as one minute later, whenever it is taken. Hours take seconds, and the results
// do not depend on the speed of the machine.
package knowntest
