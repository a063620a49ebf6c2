// The HTML report: all data is in the page, and nothing changes.

const report = JSON.parse(byID("report").textContent);
let stacks = [];
let marks = new Map(); // findings by number of the stack

// prepare makes one list of the present stacks and, in a comparison, of those
// that are gone.
function prepare() {
	stacks = report.stacks.map((s) => ({ ...s, before: s.count }));
	const site = (s) => s.id + "\n" + s.state + "\n" + (s.calls.length ? report.frames[s.calls[s.user || 0]].line : 0);
	const at = new Map();
	for (const s of stacks) at.set(site(s), (at.get(site(s)) || []).concat(s));
	for (const c of report.changes || []) {
		const here = c.after > 0 ? at.get(site(c.stack)) || [] : [];
		if (!here.length) {
			stacks.push({ ...c.stack, count: 0, before: c.before, change: c });
			continue;
		}
		// Several stacks with the same change share its count before.
		let left = c.before;
		for (const s of here) {
			s.before = Math.min(left, s === here[here.length - 1] ? left : s.count);
			left -= s.before;
			s.change = c;
		}
	}
	stacks.forEach((s, i) => readStack(Object.assign(s, { number: i }), report.frames));
}

const comparing = () => Boolean(report.diff);
const change = (n) => el("td", { class: "num " + (n > 0 ? "grew" : n < 0 ? "shrank" : "soft"), text: n ? formatSigned(n) : "" });
const levelBadge = (level) => el("span", { class: "badge " + ({ ok: "good", note: "info" }[level] || "warn"), text: level });

function renderHead() {
	byID("target").textContent = report.target ? "of " + report.target : "";
	byID("taken").textContent = report.taken ? "Taken at " + new Date(report.time).toLocaleString() + ", " + report.source + (report.duration_seconds ? ", in " + formatSeconds(report.duration_seconds) : "") : "No snapshot has been taken yet.";
	if (!report.taken) return;
	if (report.filter) {
		const f = report.filter;
		byID("taken").textContent += ". Filter: " + f.conditions.join(" and ") + "; " + formatCount(f.shown) + " of " + formatCount(f.total) + " goroutines are shown, findings and health are about all.";
	}
	const largest = report.states[0];
	const over = report.health.checks.filter((c) => c.level !== "ok");
	const tiles = [
		tile("Goroutines", formatCount(report.total), report.missing ? formatCount(report.missing) + " more could not be described" : "at " + formatStacks(report.stacks.length)),
		tile("Health checks", formatCount(over.length) + " of " + formatCount(report.health.checks.length), "over the threshold"),
		largest ? tile("Most frequent state", largest.name, formatCount(largest.count) + ", " + largest.percent.toFixed(1) + " %") : null,
	];
	if (comparing()) {
		const d = report.diff;
		tiles.splice(1, 0, tile("Change", formatSigned(d.after.total - d.before.total), (d.identity ? formatCount(d.born || 0) + " created, " + formatCount(d.left || 0) + " exited " : "") + "since " + new Date(d.before.time).toLocaleTimeString([], { hour12: false })));
	}
	byID("tiles").replaceChildren(...tiles.filter((t) => t));
}

// numbersOf returns the numbers of the stacks of a finding or of one of its places.
const numbersOf = (of) => stacks.filter((s) => s.id === of.stack_id && (!of.state || s.state === of.state)).map((s) => s.number);

function openStackOf(place) {
	const [number] = numbersOf(place);
	return number !== undefined && (() => openDetail(stacks[number]));
}

const findings = byGravity(report.findings || []);
function renderFindings() {
	const age = report.sight ? "The newest snapshot was " + formatAge(report.sight.snapshot_age_seconds) + " old when this was written." : "";
	marks = findingsByStack(findings, numbersOf);
	renderHeadline(findings, findings.length, report.sight);
	byID("findings").replaceChildren(...findings.map((f, i) => findingCard(f, { first: i === 0, openStack: openStackOf })));
	renderCoverage(report.sight, age, false);
}
const showFinding = (f) => showCard(f, renderFindings);

function renderStates() {
	const before = new Map(((report.diff && report.diff.states) || []).map((c) => [c.name, c.before]));
	const gone = [...before.keys()].filter((name) => !report.states.some((s) => s.name === name)).map((name) => ({ name, count: 0, percent: 0 }));
	const head = [["State", ""], ["Count", "num"], comparing() ? ["Change", "num"] : null, ["Share", "num" + (comparing() ? " wide" : "")]].filter((h) => h);
	byID("states-head").replaceChildren(el("tr", {}, ...head.map(([text, kind]) => el("th", { scope: "col", class: kind, text })), el("td", { class: "wide" })));
	byID("states").replaceChildren(...report.states.concat(gone).map((s) => {
		const bar = el("span", { class: "share", "aria-hidden": "true" });
		bar.style.width = s.percent + "%";
		bar.style.background = stateColour(s.name);
		return el("tr", {},
			el("td", {}, el("button", { type: "button", class: "plain", onclick: () => choose(s.name) }, stateLabel(s.name))),
			el("td", { class: "num", text: formatCount(s.count) }),
			comparing() ? change(s.count - (before.get(s.name) ?? s.count)) : null,
			el("td", { class: "num soft" + (comparing() ? " wide" : ""), text: s.percent.toFixed(1) + " %" }),
			el("td", { class: "wide share-cell" }, bar));
	}));
	const states = [...new Set(stacks.map((s) => s.state))].sort(compareStates);
	byID("state").replaceChildren(...["", ...states].map((s) => el("option", { value: s, text: s || "all" })));
}

function renderHealth() {
	byID("health").replaceChildren(...report.health.checks.map((c) => el("li", {}, levelBadge(c.level), " " + c.message)));
	const t = report.trend;
	if (t) {
		byID("trend").replaceChildren(el("h3", { text: "Trend over " + formatCount(t.points.length) + " snapshots" }),
			el("p", {}, formatCount(t.from) + " to " + formatCount(t.to) + " in " + formatSeconds(t.duration_seconds) + (t.factor ? ", factor " + t.factor.toFixed(2) : "") + ", " + formatSigned(Math.round(t.growth_per_minute)) + " a minute ", t.strong ? el("span", { class: "badge error", text: "strong growth" }) : null),
			t.points.length > 2 ? spark(t.points.map((p) => p.total), "Goroutines over the snapshots") : "");
	}
	if (report.notes) byID("notes").replaceChildren(el("h3", { text: "Notes" }), ...report.notes.map((n) => el("p", { class: "small", text: n })));
}

function renderFunctions() {
	const fill = (id, list, count, percent) => byID(id).replaceChildren(...list.map((f) => el("tr", {},
		el("td", { class: "num", text: formatCount(f[count]) + " (" + f[percent].toFixed(1) + " %)" }),
		el("td", {}, el("button", { type: "button", class: "plain", onclick: () => find(f.name) }, functionLabel(f.name))))));
	fill("flat", report.functions.flat, "flat", "flat_percent");
	fill("cumulative", report.functions.cumulative, "cumulative", "cumulative_percent");
	byID("functions-count").textContent = "The largest of " + formatCount(report.functions.distinct);
}

const renderStacks = soon(() => showStacks(stacks, {
	sort: (found) => found.sort((a, b) => Math.abs(b.count - b.before) - Math.abs(a.count - a.before) || Math.max(b.count, b.before) - Math.max(a.count, a.before)),
	row: stackRow,
	note: comparing() ? ", the largest change first" : "",
	marks,
}));

function stackRow(s) {
	return el("tr", {},
		el("td", { class: "num", text: formatCount(s.count) }),
		comparing() ? change(s.count - s.before) : el("td", { class: "num soft", text: s.percent.toFixed(1) + " %" }),
		el("td", { class: "wide" }, stateLabel(s.state)),
		placeCell(s, "stack-" + s.number, () => openDetail(s), [...(s.change ? [el("span", { class: "badge info", text: s.change.kind })] : []), ...findingBadges(marks.get(s.number), "stack-" + s.number, showFinding)]),
		el("td", { class: "num", text: formatLeast(s.oldest_seconds || s.waiting_seconds) }));
}

function openDetail(s) {
	const c = s.change;
	const before = c && formatCount(s.before) + ": " + c.kind + (c.born ? ", " + formatCount(c.born) + " created since" : "") + (c.left ? ", " + formatCount(c.left) + " exited or moved on" : "");
	showStack(s, s.where, s.trace, [c ? fact("Before", before) : null], stackFindings(marks.get(s.number), showFinding));
	showDialog();
}

function choose(state) {
	byID("state").value = byID("state").value === state ? "" : state;
	renderStacks();
}
function find(name) {
	byID("search").value = name;
	renderStacks();
	byID("icicle-title").scrollIntoView({ block: "center" });
}

function makeGraph() {
	icicle = makeIcicle(byID("icicle"), { compare: comparing() && byID("compare").checked, open: (i) => openDetail(stacks[i]) });
	renderStacks();
}

function start() {
	renderHead();
	if (!report.taken) {
		for (const panel of document.querySelectorAll("main > .panel, main > .halves")) panel.hidden = true;
		return;
	}
	prepare();
	renderFindings();
	renderStates();
	renderHealth();
	renderFunctions();
	byID("stacks-head").replaceChildren(el("tr", {}, ...[["Goroutines", "num"], [comparing() ? "Change" : "Share", "num"], ["State", "wide"], ["Where", ""], ["Oldest", "num"]].map(([text, kind]) => el("th", { scope: "col", class: kind, text }))));
	byID("compare-label").hidden = !comparing();
	byID("compare").addEventListener("change", makeGraph);
	listen(renderStacks);
	onTheme(() => {
		renderStates();
		renderStacks();
	});
	makeGraph();
}
start();
