// The live page: gets everything once, and then changes.

const sparkLength = 60;

const page = {
	seq: 0,
	program: {},
	snapshot: null,
	states: [],
	history: { time: [], states: {} },
	groups: new Map(), // stacks by number
	findings: [],
	open: 0,
	sight: null, // what the findings cover
	sightAt: 0, // when that arrived, by the clock of this page, in seconds
	events: [],
	cost: null,
	counts: [], // the scheduler's counts, the newest last
	counting: false, // whether they arrive by themselves
	stopped: false,
	paused: false,
	source: null, // the EventSource
	problem: "", // why there is none
	notice: "", // what came of the button Capture
	marks: new Map(), // findings by number of the stack
	order: new Map(), // of the rows, by number of the group
	shown: null, // number of the group in the dialog
};

// --- Data --------------------------------------------------------------------

async function fetchAll() {
	const response = await fetch("data.json", { cache: "no-store" });
	if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
	apply(await response.json());
}

function apply(view) {
	if (view.full) {
		page.groups.clear();
		page.history = { time: [], states: {} };
		page.events = [];
	}
	page.seq = view.seq;
	page.stopped = view.stopped;
	page.program = view.program || page.program;
	page.snapshot = view.taken ? { ...view, time: unix(view.time) } : null;
	page.states = view.states;
	page.cost = view.cost;
	if (view.counts) applyCounts(view.counts);
	else if (page.snapshot && view.scheduler && !page.counting) addCounts({ ...view.scheduler, goroutines: view.total, time: page.snapshot.time });
	page.open = view.open_findings;
	applySight(view.sight);
	if (view.findings) page.findings = byGravity(view.findings);
	page.events = page.events.concat(view.events.map((e) => ({ ...e, time: unix(e.time) }))).slice(-200);
	appendHistory(view.history);
	for (const number of view.gone) page.groups.delete(number);
	for (const group of view.stacks) applyGroup(group, view.frames);
	if (!view.full) {
		for (const group of page.groups.values()) {
			for (let i = 0; i < view.history.time.length; i++) group.counts.push(group.count);
			group.counts = group.counts.slice(-sparkLength);
		}
	}
	renderAll();
}

function applySight(sight) {
	page.sight = sight;
	page.sightAt = performance.now() / 1000;
}

// countsLength is how many of the scheduler's counts are kept: a minute of them.
const countsLength = 60;
function addCounts(c) {
	const last = page.counts[page.counts.length - 1];
	if (last && c.time <= last.time) return;
	page.counts = [...page.counts, c].slice(-countsLength);
}
function applyCounts(c) {
	if (!page.counting) page.counts = []; // those of snapshots
	page.counting = true;
	addCounts({ ...c, time: unix(c.time) });
}

const snapshotAge = () => page.sight.snapshot_age_seconds + performance.now() / 1000 - page.sightAt;

// sightNow is what the findings on this page cover now. When nothing has arrived
// for three intervals, because the page or the monitor is held up, that is
// nothing, whatever was true before.
function sightNow() {
	if (!page.sight || !page.sight.judging || snapshotAge() <= 3 * page.cost.interval_seconds) return page.sight;
	const detail = page.source && !page.problem ? "no snapshot was taken for more than three intervals" : "this page has received no snapshot for more than three intervals";
	return { ...page.sight, judging: 0, candidates: [], detectors: page.sight.detectors.map((d) => ({ name: d.name, judging: false, reason: "no_snapshot", detail })) };
}

function applyGroup(change, frames) {
	const known = page.groups.get(change.number);
	if (!known && !change.calls) return; // its stack did not fit in
	const group = Object.assign(known || { counts: [] }, change);
	group.created = change.oldest_seconds ? page.snapshot.time - change.oldest_seconds : 0; // of the oldest; 0 if unknown
	if (change.calls) {
		group.user = change.user || 0;
		readStack(group, frames);
	}
	page.groups.set(change.number, group);
}

const historyLength = 720;
function appendHistory(more) {
	const h = page.history;
	const before = h.time.length;
	h.time.push(...more.time.map(unix));
	for (const [state, counts] of Object.entries(more.states)) {
		h.states[state] = h.states[state] || new Array(before).fill(0);
		h.states[state].push(...counts);
	}
	for (const [state, counts] of Object.entries(h.states)) {
		while (counts.length < h.time.length) counts.push(0);
		h.states[state] = counts.slice(-historyLength);
		if (h.states[state].every((n) => n === 0)) delete h.states[state];
	}
	h.time = h.time.slice(-historyLength);
}

// connect keeps a stream of changes open while the page can be seen.
let retry = null;
async function connect() {
	clearTimeout(retry);
	disconnect();
	if (page.paused || document.hidden) return;
	try {
		await fetchAll();
	} catch (error) {
		return again(error instanceof TypeError ? "The service does not answer." : error.message + ".");
	}
	if (page.stopped) return;
	const source = new EventSource("stream?since=" + page.seq);
	page.source = source;
	source.onopen = () => problem("");
	source.addEventListener("change", (event) => apply(JSON.parse(event.data)));
	source.addEventListener("sight", (event) => {
		applySight(JSON.parse(event.data));
		renderAll();
	});
	source.addEventListener("counts", (event) => {
		applyCounts(JSON.parse(event.data));
		renderTiles();
	});
	source.addEventListener("reload", () => connect());
	source.addEventListener("end", () => {
		source.close();
		again("The server is shutting down.");
	});
	source.onerror = () => {
		source.close();
		if (page.source === source) again("The connection was lost, or too many pages are open.");
	};
}
function disconnect() {
	if (page.source) page.source.close();
	page.source = null;
}
function again(why) {
	disconnect();
	problem(why + " Trying again.");
	retry = setTimeout(connect, 3000);
}
function problem(text) {
	page.problem = text;
	renderStatus();
}

// --- Header, findings and events ---------------------------------------------

const renderAll = soon(() => {
	renderStatus();
	if (held()) return;
	renderTiles();
	renderFindings();
	renderLegend();
	renderChart();
	renderStacks();
	renderEvents();
	renderCost();
	if (page.shown !== null) refreshDetail();
});

// held reports whether lists must not be replaced for a moment: a pressed button
// would get no click, and a selection would be lost.
let pressed = false;
let waiting = null;
function held() {
	if (!pressed && getSelection().isCollapsed) return false;
	clearTimeout(waiting);
	waiting = setTimeout(renderAll, 300);
	return true;
}

const now = () => (page.snapshot ? page.snapshot.time : Date.now() / 1000);

function renderStatus() {
	const live = page.source && !page.problem;
	byID("dot").className = "dot " + (live ? "on" : page.problem || page.stopped ? "off" : "");
	let text = page.problem || (page.stopped ? "The monitor was shut down." : page.paused ? "Paused." : live ? "Live." : "Connecting…");
	byID("status").textContent = page.notice ? text + " " + page.notice : text;
	if (page.program.name) byID("program").textContent = "of " + page.program.name;
	const total = page.snapshot ? formatCount(page.snapshot.total) + " goroutines" : "Goroutines";
	document.title = (page.open ? "(" + page.open + ") " : "") + total + (page.program.name ? " · " + page.program.name : "");
}

// waitsForLock are the states of goroutines that wait for a lock.
const waitsForLock = ["semacquire", "sync.Mutex.Lock", "sync.RWMutex.RLock", "sync.RWMutex.Lock"];

// renderTiles shows what tells of the health of the service.
function renderTiles() {
	const s = page.snapshot;
	const c = page.counts[page.counts.length - 1];
	const before = page.counts[page.counts.length - 2];
	const rate = before && (c.created - before.created) / (c.time - before.time);
	const locked = page.states.filter((state) => waitsForLock.includes(state.name)).reduce((sum, state) => sum + state.count, 0);
	const total = c ? c.goroutines : s ? s.total : undefined;
	byID("tiles").replaceChildren(
		tile("Goroutines", total === undefined ? "–" : formatCount(total), trend(), page.counts.length > 1 ? spark(page.counts.map((count) => count.goroutines), "Goroutines in the last minute") : null),
		tile("Ready to run", c ? formatCount(c.runnable) : "–", c ? formatCount(c.running) + " running" : ""),
		tile("Created per second", rate === undefined ? "–" : formatCount(rate), c ? formatCount(c.created) + " since the start" : ""),
		tile("Waiting for locks", s ? formatCount(locked) : "–", s ? formatPercent(locked, s.total) : ""));
}

// trend says how the number of goroutines has changed over the last snapshots.
function trend() {
	const h = page.history;
	const last = h.time.length - 1;
	const first = Math.max(0, last - 20);
	if (last < 1) return page.snapshot ? "" : "waiting for the first snapshot";
	const at = (i) => Object.values(h.states).reduce((sum, counts) => sum + counts[i], 0);
	return formatSigned(at(last) - at(first)) + " in " + formatAge(h.time[last] - h.time[first]);
}

const seen = new Set(); // IDs of findings that were shown
function renderFindings() {
	const of = page.open > page.findings.length ? "The first " + page.findings.length + " of " + page.open + " are shown." : "";
	keepFocus(() => byID("findings").replaceChildren(...page.findings.map(openFinding), of ? el("p", { class: "soft", text: of }) : ""));
	renderSight();
	for (const f of page.findings) seen.add(f.id);
}

let judging = 0; // detectors that were shown as judging
function renderSight() {
	const sight = sightNow();
	judging = sight ? sight.judging : 0;
	renderHeadline(page.findings, page.open, sight);
	keepFocus(() => renderCoverage(sight, sightAge(), false));
}
const sightAge = () => (page.snapshot ? "Newest snapshot " + formatAge(snapshotAge()) + " old." : "There is no snapshot yet.");

// tick lets the age of the newest snapshot grow.
function tick() {
	if (!page.sight) return;
	if (sightNow().judging !== judging) renderAll();
	else if (byID("sight-age")) byID("sight-age").textContent = sightAge();
}

// openStackOf returns what shows the stack of a finding or of one of its places.
function openStackOf(place) {
	const group = groupsOf(place).map((n) => page.groups.get(n)).find((g) => g);
	return group && (() => openDetail(group.number));
}

function openFinding(f, i) {
	const later = page.events.filter((e) => e.finding_id === f.id && e.kind !== "detected");
	const ago = now() - unix(f.opened);
	return findingCard(f, {
		first: i === 0,
		fresh: !seen.has(f.id),
		openStack: openStackOf,
		times: [
			el("li", { text: "Opened " + (ago >= 1 ? formatAge(ago) + " ago" : "just now") + " (" + formatTime(unix(f.opened)) + ")" }),
			...later.map((e) => el("li", { text: formatTime(e.time) + " " + e.kind + " with " + formatGoroutines(e.count) })),
		],
	});
}
const groupsOf = (place) => place.stack_numbers || [];
const showFinding = (f) => showCard(f, renderFindings);

function renderEvents() {
	const badge = (e) => el("span", { class: "badge " + (e.kind === "resolved" ? "good" : e.severity), text: (e.detector ? detectorName(e.detector) + " " : "") + e.kind });
	const rows = [...page.events].reverse().slice(0, 50).map((e) => el("tr", {},
		el("td", { class: "num wide", text: formatTime(e.time) }),
		el("td", { class: "wide" }, badge(e)),
		el("td", { class: "function" }, el("div", { class: "narrow small" }, formatTime(e.time) + " ", badge(e)), e.message)));
	byID("events").replaceChildren(...(rows.length ? rows : [el("tr", {}, el("td", { colspan: "3", class: "soft", text: "No events yet." }))]));
}

function renderCost() {
	const c = page.cost;
	const s = page.snapshot;
	byID("cost").replaceChildren(
		fact("Interval", formatSeconds(c.interval_seconds)),
		fact("Snapshots taken", formatCount(c.snapshots)),
		fact("Share of the time", (100 * c.share).toFixed(2) + " %"),
		fact("CPU budget, of one core", (100 * c.budget_share).toFixed(2) + " %"),
		fact("Latest snapshot", s ? formatSeconds(s.duration_seconds || NaN) + ", " + s.source + ", " + formatCount(Math.round((s.bytes || 0) / 1024)) + " KiB" : "–"),
		fact("Goroutine IDs", s && s.has_ids ? "known" : "unknown, and so are ages and exits"),
		...c.skipped.map((k) => fact("Skipped: " + k.source + ", " + k.reason.replaceAll("_", " "), formatCount(k.count) + (k.count === 1 ? " time" : " times"))));
}

// --- States over time --------------------------------------------------------

let chart = null;
let chartStates = []; // from below
let chartRow = null; // under the pointer

function stacked() {
	const h = page.history;
	const sums = new Array(h.time.length).fill(0);
	const columns = chartStates.map((state) => {
		const counts = h.states[state] || [];
		return sums.map((sum, i) => (sums[i] = sum + (counts[i] || 0)));
	});
	return [h.time, ...columns.reverse()]; // the top line is painted first
}

function renderChart() {
	const states = Object.keys(page.history.states).sort(compareStates);
	if (!chart || states.join() !== chartStates.join()) {
		chartStates = states;
		makeChart();
	} else chart.setData(stacked());
}

function makeChart() {
	if (chart) chart.destroy();
	const host = byID("chart");
	const axis = { font: "12px system-ui, sans-serif", stroke: () => colour("soft"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { stroke: () => colour("line"), width: 1 } };
	const time = (u, splits) => splits.map((t) => new Date(t * 1000).toLocaleTimeString([], { hour12: false }));
	chart = new uPlot({
		width: Math.max(200, host.clientWidth),
		height: Math.max(200, host.clientHeight),
		legend: { show: false },
		cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
		scales: { y: { range: (u, min, max) => [0, Math.max(1, max * 1.05)] } },
		padding: [10, 32, 0, 0], // room for half of the last label
		axes: [{ ...axis, values: time, space: 90, size: 30 }, { ...axis, size: countSize, values: (u, splits) => splits.map((n) => (Number.isInteger(n) ? formatCount(n) : "")) }],
		series: [{}, ...[...chartStates].reverse().map((state) => ({ stroke: () => stateColour(state), fill: () => stateColour(state), width: 1, points: { show: false } }))],
		hooks: {
			setCursor: [(u) => { chartRow = u.cursor.idx; renderLegend(); }],
			draw: [markEvents],
		},
	}, stacked(), host);
}

// countSize returns the width of the axis with the counts: that of its longest
// label, and half a label of the other axis at least.
function countSize(u, labels) {
	return Math.max(40, 18 + 7 * Math.max(...(labels || []).map((label) => label.length), 0));
}

// markEvents draws a line where a finding was detected, repeated or resolved. The
// legend explains those that there are.
function markEvents(u) {
	const c = u.ctx;
	const inside = (e) => e.time >= u.scales.x.min && e.time <= u.scales.x.max;
	byID("key-detected").hidden = !page.events.some((e) => inside(e) && (e.kind === "detected" || e.kind === "repeated"));
	byID("key-resolved").hidden = !page.events.some((e) => inside(e) && e.kind === "resolved");
	for (const e of page.events) {
		if (!inside(e) || e.kind === "suppressed") continue;
		const x = Math.round(u.valToPos(e.time, "x", true));
		c.save();
		c.strokeStyle = colour(e.kind === "resolved" ? "good" : "mark");
		c.lineWidth = 2;
		c.setLineDash([6, 4]);
		c.beginPath();
		c.moveTo(x, u.bbox.top);
		c.lineTo(x, u.bbox.top + u.bbox.height);
		c.stroke();
		c.restore();
	}
}

function renderLegend() {
	const h = page.history;
	const row = chartRow === null || chartRow === undefined || chartRow >= h.time.length ? null : chartRow;
	// In the order of the chart, so that rows keep their places.
	const counts = Object.entries(h.states).map(([state, column]) => ({ state, count: column[row === null ? column.length - 1 : row] }));
	counts.sort((a, b) => compareStates(b.state, a.state));
	const total = counts.reduce((sum, c) => sum + c.count, 0);
	byID("states-at").textContent = row !== null ? "at " + formatTime(h.time[row]) : "";
	const chosen = byID("state").value;
	keepFocus(() => byID("legend").replaceChildren(...counts.map((c) => el("tr", { "data-state": c.state },
		el("td", {}, el("button", { type: "button", class: "plain", "data-key": "state-" + c.state, "aria-pressed": String(c.state === chosen), onclick: () => choose(c.state === chosen ? "" : c.state) }, stateLabel(c.state))),
		el("td", { class: "num", text: formatCount(c.count) }),
		el("td", { class: "num soft", text: formatPercent(c.count, total) })))));
	offerStates();
}

// offerStates updates the list of states to choose from.
function offerStates() {
	const select = byID("state");
	const states = ["", ...Object.keys(page.history.states).sort(compareStates)];
	if (select.value && !states.includes(select.value)) states.push(select.value);
	if (states.join() === [...select.options].map((o) => o.value).join()) return;
	const chosen = select.value;
	select.replaceChildren(...states.map((s) => el("option", { value: s, text: s || "all" })));
	select.value = chosen;
}
function choose(state) {
	byID("state").value = state;
	renderAll();
}

// --- Stacks ------------------------------------------------------------------

function renderStacks() {
	page.marks = findingsByStack(page.findings, groupsOf);
	const groups = [...page.groups.values()];
	const rest = (page.snapshot ? page.snapshot.total : 0) - sumOf(groups);
	showStacks(groups.filter((g) => g.count > 0), {
		sort: sortGroups,
		row: stackRow,
		note: rest > 0 ? "; " + formatGoroutines(rest) + " at smaller stacks are not shown" : "",
		rest,
		marks: page.marks,
	});
}

// sortGroups puts the largest first, but keeps rows in their places under the
// pointer.
function sortGroups(groups) {
	groups.sort((a, b) => b.count - a.count || a.number - b.number);
	if (byID("stacks").matches(":hover")) {
		const at = (g) => page.order.get(g.number) ?? page.order.size;
		groups.sort((a, b) => at(a) - at(b));
	}
	page.order = new Map(groups.map((g, i) => [g.number, i]));
	return groups;
}

function stackRow(g) {
	return el("tr", { "data-group": g.number },
		el("td", { class: "num", text: formatCount(g.count) }),
		el("td", { class: "wide" }, spark(g.counts, "Counts of the last snapshots, now " + g.count)),
		el("td", { class: "wide" }, stateLabel(g.state)),
		placeCell(g, "group-" + g.number, () => openDetail(g.number), findingBadges(page.marks.get(g.number), "group-" + g.number, showFinding)),
		el("td", { class: "num", text: g.created ? formatLeast(now() - g.created) : "–" }),
		el("td", { class: "num wide", text: g.born ? "+" + formatCount(g.born) : "" }),
		el("td", { class: "num wide", text: g.left ? "−" + formatCount(g.left) : "" }));
}

// --- One stack ---------------------------------------------------------------

function openDetail(number) {
	page.shown = number;
	byID("detail-title").textContent = "…";
	byID("detail-body").replaceChildren();
	byID("detail-copy").hidden = true; // until there is a stack
	showDialog();
	refreshDetail();
}

async function refreshDetail() {
	const number = page.shown;
	const response = await fetch("stack.json?n=" + number, { cache: "no-store" }).catch(() => null);
	if (page.shown !== number || !response) return;
	if (!response.ok) {
		byID("detail-body").prepend(el("p", { class: "soft", text: "This stack has had no goroutines for a while." }));
		page.shown = null;
		return;
	}
	renderDetail(await response.json());
}

function renderDetail(d) {
	const known = page.groups.get(d.number);
	const h = d.history;
	const sum = (list) => formatCount(list.reduce((total, n) => total + n, 0));
	showStack(d, known && known.where, d.frames, [], [
		...stackFindings(page.marks.get(d.number), showFinding),
		h.count.length > 1 ? el("section", {},
			el("h3", { text: "The last " + formatAge(now() - unix(h.time[0])) }),
			el("p", { class: "soft small", text: rangeText(h.count) + ". " + sum(h.born) + " created, " + sum(h.left) + " exited or moved on." }),
			new Set(h.count).size > 1 ? bigSpark(h.count) : "") : "",
		d.births ? el("section", {}, el("h3", { text: "Creation times" }), ages(d.births)) : "",
	]);
}

// rangeText says how the number of goroutines of a stack has changed.
function rangeText(counts) {
	if (new Set(counts).size === 1) return formatGoroutines(counts[0]) + " all the time";
	return "From " + formatCount(counts[0]) + " to " + formatCount(counts[counts.length - 1]) + ", at most " + formatCount(Math.max(...counts));
}

function bigSpark(counts) {
	const picture = spark(counts, "Goroutines here over time");
	picture.style.width = "100%";
	picture.style.height = "90px";
	return picture;
}

function ages(births) {
	const top = Math.max(...births.map((b) => b.count));
	const created = (b) => formatTime(now() - b.age_seconds);
	if (births.length === 1) return el("p", { class: "soft small", text: "By " + created(births[0]) });
	const text = "From " + created(births[0]) + " to " + created(births[births.length - 1]);
	const bars = births.map((b) => {
		const bar = el("span", { title: formatCount(b.count) + " by " + created(b) });
		bar.style.height = Math.max(3, (100 * b.count) / top) + "%";
		return bar;
	});
	return el("div", {}, el("div", { class: "ages", role: "img", "aria-label": text }, ...bars), el("p", { class: "soft small", text }));
}

// --- Capture -----------------------------------------------------------------

// capture takes a snapshot now and says in the status what was saved.
async function capture() {
	byID("capture").disabled = true;
	page.notice = "Capturing…";
	renderStatus();
	try {
		const response = await fetch("capture", { method: "POST", headers: { Accept: "application/json" } });
		page.notice = response.ok ? capturedText(await response.json()) : (await response.text()).trim();
	} catch {
		page.notice = "Nothing was captured: the process cannot be reached.";
	}
	byID("capture").disabled = false;
	renderStatus();
}

function capturedText(c) {
	const saved = c.files.map((f) => f.path || f.name).join(", ");
	return "Captured " + formatCount(c.total) + " goroutines" + (saved ? ": " + saved + "." : "; the monitor has no place to save files.");
}

// --- Start -------------------------------------------------------------------

function start() {
	icicle = makeIcicle(byID("icicle"), { open: openDetail, module: () => page.program.module });
	listen(renderAll);
	byID("pause").addEventListener("click", () => {
		page.paused = !page.paused;
		byID("pause").textContent = page.paused ? "Resume" : "Pause";
		byID("pause").setAttribute("aria-pressed", String(page.paused));
		page.paused ? disconnect() : connect();
		renderStatus();
	});
	if (byID("capture")) byID("capture").addEventListener("click", capture); // not on a page that is read-only
	byID("detail").addEventListener("close", () => (page.shown = null));
	document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
	new ResizeObserver(() => {
		const host = byID("chart");
		if (chart) chart.setSize({ width: Math.max(200, host.clientWidth), height: Math.max(200, host.clientHeight) });
	}).observe(byID("chart"));
	onTheme(() => {
		if (chart) chart.redraw();
		renderAll();
	});
	document.addEventListener("pointerdown", () => (pressed = true), true);
	for (const end of ["pointerup", "pointercancel"]) document.addEventListener(end, () => setTimeout(() => (pressed = false)), true);
	setInterval(tick, 1000);
	connect();
}
start();
