// The live page: gets everything once, and then what changes.

const sparkLooks = 60;
const rowsAtFirst = 50;

const page = {
	seq: 0,
	program: {},
	snapshot: null,
	states: [],
	history: { time: [], took: [], states: {} },
	groups: new Map(), // by number
	findings: [],
	open: 0,
	events: [],
	cost: null,
	stopped: false,
	paused: false,
	source: null, // of events
	problem: "", // instead of them
	rows: rowsAtFirst,
	order: new Map(), // of the rows, by number of the group
	shown: null, // number of the group in the dialog
};

// --- What the server sends ---------------------------------------------------

async function fetchAll() {
	const response = await fetch("data.json", { cache: "no-store" });
	if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
	apply(await response.json());
}

function apply(view) {
	if (view.full) {
		page.groups.clear();
		page.history = { time: [], took: [], states: {} };
		page.events = [];
	}
	page.seq = view.seq;
	page.stopped = view.stopped;
	page.program = view.program || page.program;
	page.snapshot = view.snapshot;
	page.states = view.states || [];
	page.cost = view.cost;
	page.open = view.open;
	if (view.findings) page.findings = view.findings;
	page.events = page.events.concat(view.events).slice(-200);
	appendHistory(view.history);
	for (const number of view.gone) page.groups.delete(number);
	for (const group of view.groups) applyGroup(group, view.frames);
	if (!view.full) {
		for (const group of page.groups.values()) {
			for (let i = 0; i < view.history.time.length; i++) group.counts.push(group.count);
			group.counts = group.counts.slice(-sparkLooks);
		}
	}
	renderAll();
}

function applyGroup(change, frames) {
	const known = page.groups.get(change.n);
	if (!known && !change.frames) return; // its stack did not fit in
	const group = known || { counts: change.counts || [] };
	const stack = change.frames ? change.frames.map((i) => frames[i]) : group.stack;
	Object.assign(group, change, { stack });
	if (change.frames) {
		group.path = stack.map((f) => ({ name: f.f, standard: f.std })).reverse();
		group.where = stack[change.user] || null;
		group.text = (stack.map((f) => f.f).join("\n") + "\n" + group.id + "\n" + group.state).toLowerCase();
	}
	page.groups.set(change.n, group);
}

const historyLooks = 720;
function appendHistory(more) {
	const h = page.history;
	const before = h.time.length;
	h.time.push(...more.time);
	h.took.push(...more.took);
	for (const [state, counts] of Object.entries(more.states)) {
		h.states[state] = h.states[state] || new Array(before).fill(0);
		h.states[state].push(...counts);
	}
	for (const [state, counts] of Object.entries(h.states)) {
		while (counts.length < h.time.length) counts.push(0);
		h.states[state] = counts.slice(-historyLooks);
		if (h.states[state].every((n) => n === 0)) delete h.states[state];
	}
	h.time = h.time.slice(-historyLooks);
	h.took = h.took.slice(-historyLooks);
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
	source.addEventListener("reload", () => connect());
	source.addEventListener("end", () => {
		source.close();
		again("The server is going down.");
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

// --- What is shown -----------------------------------------------------------

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

// held says that lists must stay as they are for a moment: what is replaced
// under a pressed button gets no click, and a selection in it is lost.
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
	if (page.snapshot) text += " Looked at " + formatTime(page.snapshot.time);
	byID("status").textContent = text;
	if (page.program.name) byID("program").textContent = "of " + page.program.name;
	const total = page.snapshot ? formatCount(page.snapshot.total) + " goroutines" : "Goroutines";
	document.title = (page.open ? "(" + page.open + ") " : "") + total + (page.program.name ? " · " + page.program.name : "");
}

const blockedStates = (state) => state !== "running" && state !== "runnable" && state !== "syscall";

function tile(name, big, small, bad) {
	return el("div", { class: "tile" + (bad ? " bad" : "") }, el("dt", { text: name }), el("dd", { class: "big", text: big }), el("dd", { class: "small soft", text: small }));
}
function renderTiles() {
	const s = page.snapshot;
	if (!s) return byID("tiles").replaceChildren(tile("Goroutines", "–", "waiting for the first look"));
	const h = page.history;
	const ago = Math.min(h.time.length - 1, 20);
	const before = ago > 0 ? Object.values(h.states).reduce((sum, counts) => sum + counts[counts.length - 1 - ago], 0) : s.total;
	const span = ago > 0 ? s.time - h.time[h.time.length - 1 - ago] : 0;
	const blocked = page.states.filter((c) => blockedStates(c.state)).reduce((sum, c) => sum + c.count, 0);
	const largest = page.states[0];
	byID("tiles").replaceChildren(
		tile("Goroutines", formatCount(s.total), span ? formatSigned(s.total - before) + " in " + formatSeconds(span) : "since now"),
		tile("Open findings", formatCount(page.open), page.open ? "see below" : "nothing found", page.open > 0),
		tile("Blocked", formatPercent(blocked, s.total), largest ? "most in " + largest.state : ""),
		tile("Created", formatCount(s.scheduler.created), "since the process started"),
		tile("Looking took", formatSeconds(s.duration), (100 * page.cost.share).toFixed(2) + " % of the time"),
	);
}

const severity = (confidence) => ({ info: "note", medium: "warn", suspected: "warn" })[confidence] || "mark";

const seen = new Set(); // IDs of findings that were shown
const unfolded = new Set(); // IDs of findings whose evidence is shown
const isAdvice = (sentence) => sentence.startsWith("Next: ");
function renderFindings() {
	byID("findings-count").textContent = page.open > page.findings.length ? "The first " + page.findings.length + " of " + page.open : page.open ? formatCount(page.open) + " open" : "";
	const cards = page.findings.map(findingCard);
	keepFocus(() => byID("findings").replaceChildren(...(cards.length ? cards : [el("p", { class: "soft", text: "Nothing was found. Detectors look at every snapshot; a leak takes the longest to prove." })])));
	for (const f of page.findings) seen.add(f.id);
}

function findingCard(f) {
	const kind = severity(f.confidence);
	const told = page.events.filter((e) => e.finding === f.id);
	const group = f.groups.map((n) => page.groups.get(n)).find((g) => g);
	return el("article", { class: "finding " + kind + (seen.has(f.id) ? "" : " fresh"), "data-finding": f.detector },
		el("div", { class: "row" },
			el("h3", { text: f.detector.replaceAll("_", " ") }),
			el("span", { class: "badge " + kind, text: f.confidence }),
			f.state ? stateLabel(f.state) : null,
			el("span", { class: "soft small", text: formatGoroutines(f.count) + (f.growth_per_minute ? " · " + formatSigned(Math.round(f.growth_per_minute)) + " a minute" : "") }),
			el("span", { class: "grow" }),
			group ? el("button", { type: "button", "data-key": "finding-" + f.id, onclick: () => openDetail(group.n), text: "Show the stack" }) : null),
		el("p", { class: "message", text: f.message }),
		f.function ? el("p", { class: "small" }, functionLabel(f.function), " ", el("span", { class: "soft code", text: f.file ? f.file + ":" + f.line : "" })) : null,
		...f.evidence.filter(isAdvice).map((e) => el("p", { class: "small", text: e })),
		el("details", { class: "small", open: unfolded.has(f.id), ontoggle: (event) => unfolded[event.target.open ? "add" : "delete"](f.id) },
			el("summary", { "data-key": "evidence-" + f.id, text: "Evidence" }),
			el("ul", {}, ...f.evidence.filter((e) => !isAdvice(e)).map((e) => el("li", { text: e })))),
		el("ol", { class: "timeline small soft", "aria-label": "Timeline" },
			el("li", { text: formatTime(f.opened) + " opened, " + formatSeconds(now() - f.opened) + " ago" }),
			...told.filter((e) => e.kind !== "detected").map((e) => el("li", { text: formatTime(e.time) + " " + e.kind + " with " + formatCount(e.count) }))));
}

function renderEvents() {
	const rows = [...page.events].reverse().slice(0, 50).map((e) => el("tr", {},
		el("td", { class: "num", text: formatTime(e.time) }),
		el("td", {}, el("span", { class: "badge " + (e.kind === "resolved" ? "good" : severity(e.confidence)), text: (e.detector ? e.detector + " " : "") + e.kind })),
		el("td", { class: "function", text: e.message || formatCount(e.count) + " findings are not told one by one" })));
	byID("events").replaceChildren(...(rows.length ? rows : [el("tr", {}, el("td", { colspan: "3", class: "soft", text: "None since this page was mounted." }))]));
}

function renderCost() {
	const c = page.cost;
	const s = page.snapshot;
	const fact = (name, value) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }));
	byID("cost").replaceChildren(
		fact("A look every", formatSeconds(c.interval)),
		fact("Looks taken", formatCount(c.looks)),
		fact("Share of the time", (100 * c.share).toFixed(2) + " %"),
		fact("Budget, of one core", (100 * c.budget).toFixed(2) + " %"),
		fact("The last one", s ? formatSeconds(s.duration) + ", " + s.source + ", " + formatCount(Math.round(s.bytes / 1024)) + " KiB" : "–"),
		fact("Goroutine IDs", s && s.ids ? "known" : "unknown: no ages, no births"),
		...c.skipped.map((k) => fact("Not taken: " + k.source + ", " + k.reason.replaceAll("_", " "), formatCount(k.count) + " times")));
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
	const axis = { stroke: () => colour("soft"), grid: { stroke: () => colour("line"), width: 1 }, ticks: { stroke: () => colour("line"), width: 1 } };
	const time = (u, splits) => splits.map((t) => new Date(t * 1000).toLocaleTimeString([], { hour12: false }));
	chart = new uPlot({
		width: Math.max(200, host.clientWidth),
		height: Math.max(200, host.clientHeight),
		legend: { show: false },
		cursor: { y: false, points: { show: false }, drag: { x: true, y: false } },
		scales: { y: { range: (u, min, max) => [0, Math.max(1, max * 1.05)] } },
		axes: [{ ...axis, values: time, space: 90 }, { ...axis, size: 72, values: (u, splits) => splits.map((n) => (Number.isInteger(n) ? formatCount(n) : "")) }],
		series: [{}, ...[...chartStates].reverse().map((state) => ({ stroke: () => stateColour(state), fill: () => stateColour(state), width: 1, points: { show: false } }))],
		hooks: {
			setCursor: [(u) => { chartRow = u.cursor.idx; renderLegend(); }],
			draw: [markEvents],
		},
	}, stacked(), host);
}

// markEvents draws a line where something was found or over.
function markEvents(u) {
	const c = u.ctx;
	for (const e of page.events) {
		if (e.time < u.scales.x.min || e.time > u.scales.x.max || e.kind === "suppressed") continue;
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
	// In the order of the chart, so that rows stay where they are.
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

// offerStates keeps the list of states to choose from.
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

let icicle = null;

function renderStacks() {
	const query = byID("search").value.trim().toLowerCase();
	const state = byID("state").value;
	const inState = [...page.groups.values()].filter((g) => g.count > 0 && (!state || g.state === state));
	const found = inState.filter((g) => !query || g.text.includes(query)).sort((a, b) => b.count - a.count || a.n - b.n);
	if (byID("stacks").matches(":hover")) { // rows stay where they are under the pointer
		const at = (g) => page.order.get(g.n) ?? page.order.size;
		found.sort((a, b) => at(a) - at(b));
	}
	page.order = new Map(found.map((g, i) => [g.n, i]));
	const sum = (groups) => groups.reduce((total, g) => total + g.count, 0);
	const total = page.snapshot ? page.snapshot.total : 0;
	const untold = total - sum([...page.groups.values()]);
	byID("filter-count").textContent = query || state ? formatCount(sum(found)) + " goroutines at " + formatCount(found.length) + " stacks" : "";
	byID("stacks-count").textContent = formatCount(Math.min(page.rows, found.length)) + " of " + formatCount(found.length) + (untold > 0 ? "; " + formatCount(untold) + " goroutines at smaller stacks are not shown" : "");
	const rows = found.slice(0, page.rows).map(stackRow);
	keepFocus(() => byID("stacks").replaceChildren(...(rows.length ? rows : [el("tr", {}, el("td", { colspan: "7", class: "soft", text: "None." }))])));
	byID("more").hidden = found.length <= page.rows;
	const stacks = inState.map((g) => ({ path: g.path, state: g.state, count: g.count, tag: g.n }));
	if (untold > 0 && !state) stacks.push({ path: [{ name: "(smaller stacks)", standard: true }], state: "", count: untold });
	icicle.show(stacks);
	icicle.search(query);
}

function stackRow(g) {
	const entry = g.stack.length ? g.stack[g.stack.length - 1].f : "";
	const where = g.where ? g.where.f : g.id === "_OTHER" ? "(many small stacks)" : "(on a CPU)";
	return el("tr", { "data-group": g.n },
		el("td", { class: "num", text: formatCount(g.count) }),
		el("td", { class: "wide" }, spark(g.counts, "Counts of the last looks, now " + g.count)),
		el("td", { class: "wide" }, stateLabel(g.state)),
		el("td", {},
			el("div", { class: "narrow small" }, stateLabel(g.state)),
			el("button", { type: "button", class: "plain", "data-key": "group-" + g.n, onclick: () => openDetail(g.n) }, functionLabel(where, g.where ? g.where.l : 0)),
			entry && entry !== where ? el("div", { class: "soft small wide" }, "started as ", functionLabel(entry)) : null),
		el("td", { class: "num", text: g.oldest ? formatSeconds(now() - g.oldest) : "–" }),
		el("td", { class: "num wide", text: g.born ? "+" + formatCount(g.born) : "" }),
		el("td", { class: "num wide", text: g.left ? "−" + formatCount(g.left) : "" }));
}

// keepFocus replaces what may hold the focus and gives it back by its key.
function keepFocus(replace) {
	const key = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : undefined;
	replace();
	if (!key || document.activeElement !== document.body) return;
	for (const node of document.querySelectorAll("[data-key]")) {
		if (node.dataset.key === key) return node.focus({ preventScroll: true });
	}
}

// --- One stack ---------------------------------------------------------------

function openDetail(number) {
	page.shown = number;
	byID("detail-title").textContent = "…";
	byID("detail-body").replaceChildren();
	if (!byID("detail").open) byID("detail").showModal();
	refreshDetail();
}

async function refreshDetail() {
	const number = page.shown;
	const response = await fetch("stack.json?n=" + number, { cache: "no-store" }).catch(() => null);
	if (page.shown !== number || !response) return;
	if (!response.ok) {
		byID("detail-body").prepend(el("p", { class: "soft", text: "No goroutine has been here for a while." }));
		page.shown = null;
		return;
	}
	renderDetail(await response.json());
}

function renderDetail(d) {
	const g = d.group;
	const known = page.groups.get(g.n);
	byID("detail-title").replaceChildren(functionLabel(known && known.where ? known.where.f : g.id, known && known.where ? known.where.l : 0));
	const fact = (name, value) => (value ? el("div", {}, el("dt", { text: name }), el("dd", {}, value)) : null);
	const findings = page.findings.filter((f) => f.groups.includes(g.n));
	const counts = d.history.map((s) => s.count);
	const born = d.history.reduce((sum, s) => sum + s.born, 0);
	const left = d.history.reduce((sum, s) => sum + s.left, 0);
	byID("detail-body").replaceChildren(
		el("dl", { class: "facts" },
			fact("Goroutines", formatCount(g.count)),
			fact("State", stateLabel(g.state)),
			fact("Oldest, at least", g.oldest ? formatSeconds(now() - g.oldest) : ""),
			fact("Stack ID", el("code", { text: g.id })),
			fact("Goroutine IDs, oldest first", d.goroutine_ids.length ? el("span", { class: "code", text: d.goroutine_ids.join(", ") + (g.count > d.goroutine_ids.length ? ", …" : "") }) : ""),
			fact("Made by", d.created_by ? functionLabel(d.created_by) : ""),
			fact("Labels", d.label_keys ? d.label_keys.join(", ") : "")),
		...findings.map(findingCard),
		d.history.length > 1 ? el("section", {},
			el("h3", { text: "The last " + formatSeconds(now() - d.history[0].time) }),
			el("p", { class: "soft small", text: "From " + formatCount(counts[0]) + " to " + formatCount(counts[counts.length - 1]) + ", at most " + formatCount(Math.max(...counts)) + ". " + formatCount(born) + " were born, " + formatCount(left) + " left." }),
			bigSpark(counts)) : "",
		d.ages.length ? el("section", {}, el("h3", { text: "When they were born" }), ages(d.ages)) : "",
		el("section", {}, el("h3", { text: "Stack" }), trace(d.stack)));
}

function bigSpark(counts) {
	const picture = spark(counts, "Goroutines here over time");
	picture.style.width = "100%";
	picture.style.height = "90px";
	return picture;
}

function ages(cohorts) {
	const top = Math.max(...cohorts.map((c) => c.count));
	const text = "From " + formatTime(cohorts[0].born) + " to " + formatTime(cohorts[cohorts.length - 1].born);
	const bars = cohorts.map((c) => {
		const bar = el("span", { title: formatCount(c.count) + " by " + formatTime(c.born) });
		bar.style.height = Math.max(3, (100 * c.count) / top) + "%";
		return bar;
	});
	return el("div", {}, el("div", { class: "ages", role: "img", "aria-label": text }, ...bars), el("p", { class: "soft small", text }));
}

const trace = (frames) => el("ol", { class: "trace" }, ...(frames.length ? frames : [{ function: "(no stack: it was on a CPU)", standard: true }]).map((f) =>
	el("li", { class: f.standard ? "" : "own" }, functionLabel(f.function), f.file ? el("span", { class: "at code", text: f.file + ":" + f.line }) : null)));

// --- Start -------------------------------------------------------------------

function start() {
	icicle = makeIcicle(byID("icicle"), { open: openDetail });
	byID("search").addEventListener("input", renderAll);
	byID("state").addEventListener("change", renderAll);
	byID("more").addEventListener("click", () => {
		page.rows *= 4;
		renderAll();
	});
	byID("pause").addEventListener("click", () => {
		page.paused = !page.paused;
		byID("pause").textContent = page.paused ? "Go on" : "Pause";
		byID("pause").setAttribute("aria-pressed", String(page.paused));
		page.paused ? disconnect() : connect();
		renderStatus();
	});
	byID("detail-close").addEventListener("click", () => byID("detail").close());
	byID("detail").addEventListener("close", () => (page.shown = null));
	byID("detail").addEventListener("click", (event) => {
		if (event.target === byID("detail")) byID("detail").close();
	});
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
	connect();
}
start();
