// The HTML report: everything is in the page, nothing changes.

const report = JSON.parse(byID("report").textContent);
const rowsAtFirst = 100;
let rows = rowsAtFirst;
let icicle = null;
let stacks = [];

// prepare makes one list of the stacks that are and, where there is something
// to compare with, of those that were.
function prepare() {
	stacks = report.stacks.map((s) => ({ ...s, before: s.count }));
	const site = (s) => s.id + "\n" + s.state + "\n" + (s.frames.length ? report.frames[s.frames[s.user]].l : 0);
	const at = new Map();
	for (const s of stacks) at.set(site(s), (at.get(site(s)) || []).concat(s));
	for (const c of report.changes || []) {
		const here = c.after > 0 ? at.get(site(c.stack)) || [] : [];
		if (!here.length) {
			stacks.push({ ...c.stack, count: 0, before: c.before, change: c });
			continue;
		}
		// Stacks that differ elsewhere than the change can tell share what was.
		let left = c.before;
		for (const s of here) {
			s.before = Math.min(left, s === here[here.length - 1] ? left : s.count);
			left -= s.before;
			s.change = c;
		}
	}
	for (const s of stacks) {
		s.trace = s.frames.map((i) => report.frames[i]);
		s.where = s.trace[s.user];
		s.path = s.trace.map((f) => ({ name: f.f, standard: f.std })).reverse();
		s.text = (s.trace.map((f) => f.f + " " + (report.files[f.file] || "")).join("\n") + "\n" + s.id + "\n" + s.state).toLowerCase();
	}
}

const comparing = () => Boolean(report.diff);
const fact = (name, value) => (value ? el("div", {}, el("dt", { text: name }), el("dd", {}, value)) : null);
const tile = (name, big, small, bad) => el("div", { class: "tile" + (bad ? " bad" : "") }, el("dt", { text: name }), el("dd", { class: "big", text: big }), el("dd", { class: "small soft", text: small }));
const change = (n) => el("td", { class: "num " + (n > 0 ? "grew" : n < 0 ? "shrank" : "soft"), text: n ? formatSigned(n) : "" });
const levelBadge = (level) => el("span", { class: "badge " + ({ ok: "good", note: "note" }[level] || "warn"), text: level });

function renderHead() {
	byID("target").textContent = report.target ? "of " + report.target : "";
	byID("taken").textContent = report.taken ? "Taken at " + new Date(report.time).toLocaleString() + ", " + report.source + (report.duration_seconds ? ", in " + formatSeconds(report.duration_seconds) : "") : "No snapshot has been taken yet.";
	if (!report.taken) return;
	const largest = report.states[0];
	const tiles = [
		tile("Goroutines", formatCount(report.total), report.missing ? formatCount(report.missing) + " more could not be described" : formatCount(report.stacks.length) + " groups by stack and state"),
		tile("Findings", formatCount(report.findings.length), report.findings.length ? "see below" : "nothing found", report.findings.length > 0),
		tile("Health", report.health.level, "by rules of thumb", report.health.level === "warn"),
		largest ? tile("Most are in", largest.name, formatCount(largest.count) + ", " + largest.percent.toFixed(1) + " %") : null,
	];
	if (comparing()) {
		const d = report.diff;
		tiles.splice(1, 0, tile("Change", formatSigned(d.after.total - d.before.total), (d.identity ? formatCount(d.born || 0) + " born, " + formatCount(d.left || 0) + " left " : "") + "since " + new Date(d.before.time).toLocaleTimeString([], { hour12: false })));
	}
	byID("tiles").replaceChildren(...tiles.filter((t) => t));
}

function renderFindings() {
	const cards = report.findings.map((f) => {
		const kind = { info: "note", warn: "warn" }[f.severity] || "mark";
		const s = stacks.find((s) => s.id === f.stack_id && (!f.state || s.state === f.state));
		return el("article", { class: "finding " + kind },
			el("div", { class: "row" },
				el("h3", { text: f.detector.replaceAll("_", " ") }),
				el("span", { class: "badge " + kind, text: f.confidence }),
				f.state ? stateLabel(f.state) : null,
				el("span", { class: "soft small", text: formatGoroutines(f.count) + (f.growth_per_minute ? " · " + formatSigned(Math.round(f.growth_per_minute)) + " a minute" : "") + (f.age_seconds ? " · for " + formatSeconds(f.age_seconds) : "") }),
				el("span", { class: "grow" }),
				s ? el("button", { type: "button", onclick: () => openDetail(s), text: "Show the stack" }) : null),
			el("p", { class: "message", text: f.message }),
			el("ul", {}, ...(f.evidence || []).map((e) => el("li", { text: e }))));
	});
	byID("findings").replaceChildren(...(cards.length ? cards : [el("p", { class: "soft", text: "None of the detectors that can work on this found anything." })]));
}

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
			el("p", {}, formatCount(t.from) + " to " + formatCount(t.to) + " in " + formatSeconds(t.seconds) + (t.factor ? ", factor " + t.factor.toFixed(2) : "") + ", " + formatSigned(Math.round(t.per_minute)) + " a minute ", t.strong ? el("span", { class: "badge mark", text: "strong growth" }) : null),
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

const renderStacks = soon(() => {
	const query = byID("search").value.trim().toLowerCase();
	const state = byID("state").value;
	const inState = stacks.filter((s) => !state || s.state === state);
	const weight = (s) => (comparing() ? Math.max(s.count, s.before) : s.count);
	const found = inState.filter((s) => !query || s.text.includes(query)).sort((a, b) => (comparing() ? Math.abs(b.count - b.before) - Math.abs(a.count - a.before) : 0) || weight(b) - weight(a));
	const total = found.reduce((sum, s) => sum + s.count, 0);
	byID("filter-count").textContent = query || state ? formatGoroutines(total) + " at " + formatCount(found.length) + " stacks" : "";
	byID("stacks-count").textContent = formatCount(Math.min(rows, found.length)) + " of " + formatCount(found.length) + (comparing() ? ", the largest change first" : "");
	byID("stacks").replaceChildren(...found.slice(0, rows).map(stackRow));
	byID("more").hidden = found.length <= rows;
	icicle.show(inState.map((s) => ({ path: s.path, state: s.state, count: s.count, before: s.before, tag: stacks.indexOf(s) })));
	icicle.search(query);
});

function stackRow(s) {
	const entry = s.trace.length ? s.trace[s.trace.length - 1].f : "";
	const where = s.where ? s.where.f : s.id === "_OTHER" ? "(many small stacks)" : "(on a CPU)";
	return el("tr", {},
		el("td", { class: "num", text: formatCount(s.count) }),
		comparing() ? change(s.count - s.before) : el("td", { class: "num soft", text: s.percent.toFixed(1) + " %" }),
		el("td", { class: "wide" }, stateLabel(s.state)),
		el("td", {},
			el("div", { class: "narrow small" }, stateLabel(s.state)),
			el("button", { type: "button", class: "plain", onclick: () => openDetail(s) }, functionLabel(where, s.where ? s.where.l : 0)),
			s.change ? " " : null, s.change ? el("span", { class: "badge note", text: s.change.kind }) : null,
			entry && entry !== where ? el("div", { class: "soft small wide" }, "started as ", functionLabel(entry)) : null),
		el("td", { class: "num", text: s.oldest_seconds ? formatSeconds(s.oldest_seconds) : s.waiting_seconds ? formatSeconds(s.waiting_seconds) : "–" }));
}

function openDetail(s) {
	byID("detail-title").replaceChildren(functionLabel(s.where ? s.where.f : s.id, s.where ? s.where.l : 0));
	byID("detail-body").replaceChildren(
		el("dl", { class: "facts" },
			fact("Goroutines", formatCount(s.count)),
			s.change ? fact("Before", formatCount(s.before) + ": " + s.change.kind + (s.change.born ? ", " + formatCount(s.change.born) + " born since" : "") + (s.change.left ? ", " + formatCount(s.change.left) + " left" : "")) : null,
			fact("State", stateLabel(s.state)),
			fact("Oldest, at least", s.oldest_seconds ? formatSeconds(s.oldest_seconds) : ""),
			fact("Waiting", s.waiting_seconds ? formatSeconds(s.waiting_seconds) : ""),
			fact("Stack ID", el("code", { text: s.id })),
			fact("Goroutine IDs, oldest first", s.ids ? el("span", { class: "code", text: s.ids.join(", ") + (s.count > s.ids.length ? ", …" : "") }) : ""),
			fact("Made by", s.created_by ? functionLabel(s.created_by.function, s.created_by.line) : ""),
			fact("Lock", s.lock ? el("code", { text: s.lock }) : ""),
			fact("Labels", s.labels ? s.labels.map((l) => l.key + (l.value ? "=" + l.value : "")).join(", ") : "")),
		s.known ? el("p", { class: "small" }, el("span", { class: "badge good", text: "waits by design" }), " " + s.known) : "",
		el("section", {}, el("h3", { text: "Stack" }), el("ol", { class: "trace" }, ...(s.trace.length ? s.trace : [{ f: "(no stack: it was on a CPU)", std: true }]).map((f) =>
			el("li", { class: f.std ? "" : "own" }, functionLabel(f.f), report.files[f.file] ? el("span", { class: "at code", text: report.files[f.file] + ":" + f.l }) : null)))));
	byID("detail").showModal();
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
	byID("key").hidden = !(comparing() && byID("compare").checked);
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
	byID("search").addEventListener("input", renderStacks);
	byID("state").addEventListener("change", renderStacks);
	byID("more").addEventListener("click", () => {
		rows *= 4;
		renderStacks();
	});
	byID("detail-close").addEventListener("click", () => byID("detail").close());
	byID("detail").addEventListener("click", (event) => {
		if (event.target === byID("detail")) byID("detail").close();
	});
	onTheme(() => {
		renderStates();
		renderStacks();
	});
	makeGraph();
}
start();
