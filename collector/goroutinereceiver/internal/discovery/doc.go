// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

// Package discovery finds targets with Prometheus's own service discovery, in the
// form of Prometheus's scrape_configs: a list of jobs, each with *_sd_configs and
// relabel_configs.
//
// # Configuration
//
// [Configs] is a field of the receiver's configuration. It reads what the
// Collector hands over after it has expanded variables, and is strict: a key that
// is unknown, or that belongs elsewhere in the receiver, is an error that names the
// job and the key. The types of the sections are those of Prometheus, so that what
// is written for Prometheus has the same meaning here. Relative paths of files are
// relative to the working directory of the Collector, as everywhere in its
// configuration.
//
// # Targets
//
// A target is what is left after relabeling: a URL from __scheme__, __address__ and
// __metrics_path__, and the labels that do not begin with two underscores, with
// job and instance as Prometheus sets them. Prometheus keeps pods that are not
// running: a rule on __meta_kubernetes_pod_phase drops them. Pods without an
// address are no targets.
//
// # Concurrency
//
// [New] starts nothing. [Manager.Run] owns all goroutines and calls its function
// on one of them, never concurrently. It returns as soon as its context is done; a
// request to Consul that failed shortly before keeps one goroutine for up to
// 30 seconds longer, because Prometheus waits there without its context.
//
// Nothing is registered globally: each Manager has a Prometheus registry of its
// own, so that one process can have several.
package discovery
