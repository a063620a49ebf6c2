// Copyright The otelgoroutine Authors
// SPDX-License-Identifier: Apache-2.0

package dashboard

// The panels in this file compare the versions of a service, so they do not
// depend on the replicas and versions that are chosen. A stack ID leaves out line
// numbers: it is the same in two versions unless the functions have changed.

const (
	version = service + `, service_version`

	// withFinding is the number of replicas of each version with a finding.
	withFinding = `count by (` + version + `, ` + finding + `) (max by (` + replica + `, service_version, ` + finding + `) (goroutine_finding_open{` + services + `}) > 0)`

	everyReplica = `group by (` + replica + `, service_version) (goroutine_snapshot_age_seconds{` + services + `})`
	everyVersion = `group by (` + version + `) (goroutine_snapshot_age_seconds{` + services + `})`
	ofVersion    = `count by (` + version + `) (` + everyReplica + `)`
	ofService    = `count by (` + service + `) (` + everyReplica + `)`

	stacks      = `(goroutine_stack_goroutine_count{` + services + `, goroutine_stack_id!="_OTHER"})`
	inVersion   = `sum by (` + version + `, ` + place + `) ` + stacks
	inService   = `sum by (` + service + `, ` + place + `) ` + stacks
	eachVersion = `on (` + service + `, service_version) group_left ()`
)

// beganWithVersion has the findings that exactly one version had in the range
// shown, of services of which more than one version ran in it. Steps of five
// minutes read few samples, also of a large fleet.
const beganWithVersion = withFinding + `
  unless on (` + service + `, ` + finding + `) count by (` + service + `, ` + finding + `) (group by (` + version + `, ` + finding + `) (max_over_time(goroutine_finding_open{` + services + `}[$__range]) > 0)) > 1
  and on (` + service + `) count by (` + service + `) (last_over_time((` + everyVersion + `)[$__range:5m]) or ` + everyVersion + `) > 1`

// moreThanElsewhere is the number of goroutines of a stack on a replica of one
// version, on average, less that on a replica of the other versions.
const moreThanElsewhere = inVersion + ` / ` + eachVersion + ` ` + ofVersion + `
    - (-` + inVersion + ` + on (` + service + `, ` + place + `) group_left () ` + inService + `)
    / ` + eachVersion + ` (-` + ofVersion + ` + on (` + service + `) group_left () ` + ofService + ` > 0)`

var releases = []panel{
	{title: "Replicas by version", width: 8, height: 8, stacked: true,
		description: "The label service_version is the resource attribute service.version.",
		queries:     []query{{name: "{{job}} {{service_version}}", expr: ofVersion}}},
	{title: "Findings of one version only", kind: list, width: 16, height: 8, events: eventsOfService,
		description: "Open findings that began with a version: more than one version ran in the range shown, and only one had the finding.",
		queries:     []query{{name: "replicas", expr: withServiceName(orZero(beganWithVersion))}}},
	{title: "Findings by version", kind: list, width: 12, height: 8, events: eventsOfService,
		description: "Replicas with the finding, and their share of the replicas of the version.",
		queries: []query{
			{name: "replicas", expr: withServiceName(orZero(withFinding))},
			{name: "share", unit: "percentunit", expr: withServiceName(orZero(withFinding + ` / ` + eachVersion + ` ` + ofVersion))},
		}},
	{title: "Stacks with more goroutines than in other versions", kind: list, width: 12, height: 8,
		description: "Goroutines on an average replica of the version, less those on an average replica of the other versions that run now. 0 while only one version runs.",
		queries: []query{{name: "more per replica", expr: `topk(20, (` + moreThanElsewhere + `) > 0)
  or on (` + service + `) 0 * group by (` + service + `) (goroutine_snapshot_age_seconds{` + services + `})`}}},
}
