// What the live page and the HTML report share. Everything that comes from the
// program is shown with textContent: no text becomes markup.

// el makes an element. class, text and on… are its class, its text and its
// listeners; other properties are attributes. Children are nodes or text.
function el(tag, properties, ...children) {
	const node = document.createElement(tag);
	for (const [name, value] of Object.entries(properties || {})) {
		if (value === undefined || value === null || value === false) continue;
		if (name === "text") node.textContent = value;
		else if (name === "class") node.className = value;
		else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
		else node.setAttribute(name, value === true ? "" : String(value));
	}
	node.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
	return node;
}

function svg(tag, attributes, ...children) {
	const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
	for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
	node.append(...children);
	return node;
}

const byID = (id) => document.getElementById(id);

const wholeNumber = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const formatCount = (n) => wholeNumber.format(n);
const formatGoroutines = (n) => formatCount(n) + (n === 1 ? " goroutine" : " goroutines");
const formatStacks = (n) => formatCount(n) + (n === 1 ? " stack" : " stacks");
const formatSigned = (n) => (n > 0 ? "+" : n < 0 ? "−" : "±") + wholeNumber.format(Math.abs(n));

function formatPercent(part, whole) {
	if (!whole) return "–";
	const p = (100 * part) / whole;
	return (p > 0 && p < 0.1 ? "<0.1" : p.toFixed(1)) + " %";
}

// formatSeconds formats a duration in its two largest units.
function formatSeconds(s) {
	if (!(s >= 0)) return "–";
	if (s < 0.001) return Math.round(s * 1e6) + " µs";
	if (s < 1) return (s * 1000).toFixed(s < 0.01 ? 1 : 0) + " ms";
	if (s < 10) return s.toFixed(1) + " s";
	if (s < 100) return Math.round(s) + " s";
	if (s < 3600) return Math.floor(s / 60) + " min " + (Math.floor(s % 60) ? Math.floor(s % 60) + " s" : "");
	if (s < 86400) return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
	return Math.floor(s / 86400) + " d " + Math.floor((s % 86400) / 3600) + " h";
}

// formatAge formats an age in whole seconds or longer units.
const formatAge = (s) => (s < 100 ? Math.round(s) + " s" : formatSeconds(s));

// unix reads a time of the JSON as seconds.
const unix = (time) => Date.parse(time) / 1000;
const formatTime = (seconds) => new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });

// colour reads a custom property of ui.css, which has the only list of colours.
const colours = new Map();
function colour(name) {
	if (!colours.has(name)) colours.set(name, getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim());
	return colours.get(name);
}
// onTheme calls back when the colours have changed.
function onTheme(callback) {
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
		colours.clear();
		callback();
	});
}

// stateColours gives every state the name of a colour. Their order is that of
// the stacked chart, from the bottom.
const stateColours = {
	"running": "running",
	"runnable": "runnable",
	"syscall": "syscall",
	"IO wait": "io",
	"sleep": "sleep",
	"select": "select",
	"chan receive": "receive",
	"chan send": "send",
	"sync.WaitGroup.Wait": "group",
	"sync.Cond.Wait": "cond",
	"semacquire": "cond",
	"sync.RWMutex.RLock": "rwmutex",
	"sync.RWMutex.Lock": "rwmutex",
	"sync.Mutex.Lock": "mutex",
	"chan receive (nil chan)": "never",
	"chan send (nil chan)": "never",
	"select (no cases)": "never",
};
const stateOrder = Object.keys(stateColours);
const stateColour = (state) => colour(stateColours[state] || "other");
function compareStates(a, b) {
	const at = (s) => (stateOrder.includes(s) ? stateOrder.indexOf(s) : stateOrder.length);
	return at(a) - at(b) || (a < b ? -1 : a > b ? 1 : 0);
}

function swatch(state) {
	const s = el("span", { class: "swatch", "aria-hidden": "true" });
	s.style.background = stateColour(state);
	return s;
}
const stateLabel = (state) => el("span", { class: "state" }, swatch(state), state);

// splitFunction splits a full function name into the path of its package and
// the short name.
function splitFunction(name) {
	const end = name.indexOf("[") < 0 ? name.length : name.indexOf("[");
	const cut = name.lastIndexOf("/", end) + 1;
	return [name.slice(0, cut), name.slice(cut)];
}
function functionLabel(name, line) {
	const [path, short] = splitFunction(name || "(no stack)");
	return el("span", { class: "function code" }, el("span", { class: "path", text: path }), short, line ? el("span", { class: "path", text: ":" + line }) : null);
}

// spark draws numbers as a small line.
function spark(values, label) {
	const top = Math.max(1, ...values);
	const x = (i) => (values.length < 2 ? 0 : (100 * i) / (values.length - 1));
	const points = values.map((v, i) => x(i).toFixed(1) + "," + (23 - (22 * v) / top).toFixed(1));
	const picture = svg("svg", { viewBox: "0 0 100 24", preserveAspectRatio: "none", class: "spark", role: "img", "aria-label": label });
	if (points.length > 1) {
		picture.append(svg("polygon", { points: ["0,24", ...points, "100,24"].join(" ") }), svg("polyline", { points: points.join(" ") }));
	}
	return picture;
}

// soon runs a function once before the next frame, however often it is called.
function soon(run) {
	let asked = false;
	return () => {
		if (asked) return;
		asked = true;
		requestAnimationFrame(() => {
			asked = false;
			run();
		});
	};
}

// --- Findings ----------------------------------------------------------------

const tile = (name, big, small, bad) => el("div", { class: "tile" + (bad ? " bad" : "") }, el("dt", { text: name }), el("dd", { class: "big", text: big }), el("dd", { class: "small soft", text: small }));
const fact = (name, value) => (value ? el("div", {}, el("dt", { text: name }), el("dd", {}, value)) : null);

// participant shows one of the places of a finding. open shows its stack.
function participant(p, key, open) {
	const where = p.at ? functionLabel(p.at.function, p.at.line) : el("span", { text: "an unknown place" });
	return el("li", {},
		el("span", { class: "badge info", text: p.title }), " ",
		formatGoroutines(p.count), " at ",
		open ? el("button", { type: "button", class: "plain", "data-key": key, onclick: open }, where) : where,
		p.state ? " " : null, p.state ? stateLabel(p.state) : null,
		p.created_by ? el("span", { class: "soft" }, ", created by ", functionLabel(p.created_by.function, p.created_by.line)) : null,
		p.note ? el("span", { class: "note", text: p.note }) : null);
}

// traceText names a trace, or a span, and how many goroutines have it.
const traceText = (t) => [t.trace_id && "trace " + t.trace_id, t.span_id && "span " + t.span_id].filter((s) => s).join(", ") + " (" + formatCount(t.count) + ")";

// findingCard shows a finding. Options: open shows its stack, openStack returns
// what shows the stack of a participant, unfolded shows its evidence at first,
// ontoggle is called when that changes, fresh marks it, more is shown below.
function findingCard(f, options) {
	const numbers = [formatGoroutines(f.count), f.growth_per_minute ? formatSigned(Math.round(f.growth_per_minute)) + " a minute" : "", f.age_seconds ? "for at least " + formatSeconds(f.age_seconds) : ""];
	return el("article", { class: "finding " + f.severity + (options.fresh ? " fresh" : ""), "data-finding": f.detector },
		el("div", { class: "row" },
			el("h3", { text: f.detector.replaceAll("_", " ") }),
			el("span", { class: "badge " + f.severity, text: f.confidence }),
			f.state ? stateLabel(f.state) : null,
			el("span", { class: "soft small", text: numbers.filter((n) => n).join(" · ") }),
			el("span", { class: "grow" }),
			options.open ? el("button", { type: "button", "data-key": "finding-" + f.id, onclick: options.open, text: "Show the stack" }) : null),
		el("p", { class: "message", text: f.message }),
		f.unjudged ? el("p", { class: "small" }, el("span", { class: "badge warn", text: "not judged now" }), " " + f.unjudged + ".") : null,
		f.participants ? el("ul", { class: "participants small", "aria-label": "Participants" }, ...f.participants.map((p, i) => participant(p, "participant-" + f.id + "-" + i, options.openStack && options.openStack(p)))) : null,
		f.at && !f.participants ? el("p", { class: "small" }, functionLabel(f.at.function), " ", el("span", { class: "soft code", text: f.at.file ? f.at.file + ":" + f.at.line : "" })) : null,
		f.traces ? el("p", { class: "small" }, "Started in ", el("span", { class: "code", text: f.traces.map(traceText).join("; ") })) : null,
		f.labels ? el("p", { class: "small" }, "Labels ", el("span", { class: "code", text: f.labels.map((l) => l.key + "=" + JSON.stringify(l.value || "")).join(", ") })) : null,
		f.advice ? el("p", { class: "small", text: "Next: " + f.advice }) : null,
		f.evidence ? el("details", { class: "small", open: options.unfolded, ontoggle: options.ontoggle },
			el("summary", { "data-key": "evidence-" + f.id, text: "Evidence" }),
			el("ul", {}, ...f.evidence.map((e) => el("li", { text: e })))) : null,
		options.more);
}

// --- What the findings cover -------------------------------------------------

const allJudging = (sight) => !sight || (sight.judging > 0 && sight.judging === sight.detectors.length);
const fromJudging = (sight) => "from " + sight.judging + " of " + sight.detectors.length + " detectors";

// noFindings says what it means that there are none.
function noFindings(sight) {
	if (allJudging(sight)) return "No findings.";
	if (!sight.detectors.length) return "No detector is used.";
	return sight.judging ? "No findings " + fromJudging(sight) + "; the others are not judging." : "Unknown: no detector is judging.";
}

// coverage shows which detectors are judging, what they suspect without a verdict
// yet, which are not judging and why. age is how
// old the newest snapshot is, in words. Detectors that only need more snapshots
// are folded: at first, that is most of them.
function coverage(sight, age, options) {
	if (!sight) return [];
	const away = sight.detectors.filter((d) => !d.judging);
	const short = away.filter((d) => d.reason === "short_history");
	const rest = new Map(); // names by detail
	for (const d of away) if (d.reason !== "short_history") rest.set(d.detail, [...(rest.get(d.detail) || []), d.name]);
	const item = (names, detail) => el("li", {}, el("b", { text: names.join(", ") }), ": " + detail);
	const candidates = sight.candidates || [];
	return [
		el("p", { class: allJudging(sight) ? "soft" : "" },
			el("span", { class: "badge " + (allJudging(sight) ? "good" : rest.size ? "warn" : "info"), text: sight.judging + " of " + sight.detectors.length + " detectors judging" }),
			" ", el("span", { id: "sight-age", text: age })),
		candidates.length ? el("p", { text: "Under suspicion, no verdict yet:" }) : null,
		candidates.length ? el("ul", {}, ...candidates.map((c) => item([c.detector], c.message))) : null,
		rest.size ? el("p", { text: "Not judging:" }) : null,
		rest.size ? el("ul", {}, ...[...rest].map(([detail, names]) => item(names, detail))) : null,
		short.length ? el("details", { open: options.unfolded, ontoggle: options.ontoggle },
			el("summary", { "data-key": "coverage-short", text: short.length + (short.length === 1 ? " detector needs" : " detectors need") + " more snapshots" }),
			el("ul", {}, ...short.map((d) => item([d.name], d.detail)))) : null,
	].filter((node) => node);
}

// --- Stacks ------------------------------------------------------------------

// readStack gives a stack its frames out of a table, and what follows from them.
function readStack(s, frames) {
	s.trace = s.calls.map((i) => frames[i]);
	s.where = s.trace[s.user || 0] || null;
	s.entry = s.trace.length ? s.trace[s.trace.length - 1].function : "";
	s.path = [...s.trace].reverse();
	s.text = (s.trace.map((f) => f.function + " " + (f.file || "")).join("\n") + "\n" + s.id + "\n" + s.state).toLowerCase();
	return s;
}

// placeCell is the cell of a table that names a stack and opens it.
function placeCell(s, key, open, badge) {
	const name = s.where ? s.where.function : s.id === "_OTHER" ? "(many small stacks)" : "(on a CPU)";
	return el("td", {},
		el("div", { class: "narrow small" }, stateLabel(s.state)),
		el("button", { type: "button", class: "plain", "data-key": key, onclick: open }, functionLabel(name, s.where ? s.where.line : 0)),
		badge ? " " : null, badge,
		s.entry && s.entry !== name ? el("div", { class: "soft small wide" }, "started as ", functionLabel(s.entry)) : null);
}

// keepFocus replaces elements and gives the focus back by its key.
function keepFocus(replace) {
	const key = document.activeElement && document.activeElement.dataset ? document.activeElement.dataset.key : undefined;
	replace();
	if (!key || document.activeElement !== document.body) return;
	for (const node of document.querySelectorAll("[data-key]")) {
		if (node.dataset.key === key) return node.focus({ preventScroll: true });
	}
}

let icicle = null;
let rows = 50; // at most, in the table of stacks
const sumOf = (stacks) => stacks.reduce((total, s) => total + s.count, 0);

// showStacks shows the stacks that match the filter, as a table and as a graph.
// Options: sort orders them in place, row makes a row of the table, note follows
// their number, rest is a number of goroutines at other stacks.
function showStacks(stacks, options) {
	const query = byID("search").value.trim().toLowerCase();
	const state = byID("state").value;
	const inState = stacks.filter((s) => !state || s.state === state);
	const found = options.sort(inState.filter((s) => !query || s.text.includes(query)));
	byID("filter-count").textContent = query || state ? formatGoroutines(sumOf(found)) + " at " + formatStacks(found.length) : "";
	byID("stacks-count").textContent = formatCount(Math.min(rows, found.length)) + " of " + formatCount(found.length) + options.note;
	const shown = found.slice(0, rows).map(options.row);
	keepFocus(() => byID("stacks").replaceChildren(...(shown.length ? shown : [el("tr", {}, el("td", { colspan: "7", class: "soft", text: "None." }))])));
	byID("more").hidden = found.length <= rows;
	if (options.rest > 0 && !state) inState.push({ path: [{ function: "(smaller stacks)", standard: true }], state: "", count: options.rest });
	icicle.show(inState);
	icicle.search(query);
}

// showStack fills the dialog with a stack. facts and sections are shown next to
// those that every stack has.
function showStack(s, where, trace, facts, sections) {
	byID("detail-title").replaceChildren(functionLabel(where ? where.function : s.id, where ? where.line : 0));
	const frames = trace.length ? trace : [{ function: "(no stack: it was on a CPU)", standard: true }];
	byID("detail-body").replaceChildren(
		el("dl", { class: "facts" },
			fact("Goroutines", formatCount(s.count)),
			...facts,
			fact("State", stateLabel(s.state)),
			fact("Oldest, at least", s.oldest_seconds ? formatSeconds(s.oldest_seconds) : ""),
			fact("Waiting", s.waiting_seconds ? formatSeconds(s.waiting_seconds) : ""),
			fact("Stack ID", el("code", { text: s.id })),
			fact("Goroutine IDs, oldest first", s.goroutine_ids ? el("span", { class: "code", text: s.goroutine_ids.join(", ") + (s.count > s.goroutine_ids.length ? ", …" : "") }) : ""),
			fact("Created by", s.created_by ? functionLabel(s.created_by.function, s.created_by.line) : ""),
			fact("Lock", s.lock ? el("code", { text: s.lock }) : ""),
			fact("Labels", s.labels ? s.labels.map((l) => l.key + (l.value ? "=" + l.value : "")).join(", ") : "")),
		s.known ? el("p", { class: "small" }, el("span", { class: "badge good", text: "waits by design" }), " " + s.known) : "",
		...sections,
		el("section", {}, el("h3", { text: "Stack" }), el("ol", { class: "trace" }, ...frames.map((f) =>
			el("li", { class: f.standard ? "" : "own" }, functionLabel(f.function), f.file ? el("span", { class: "at code", text: f.file + ":" + f.line }) : null)))));
}

// listen connects the filter, the table and the dialog; redraw shows the stacks.
function listen(redraw) {
	byID("search").addEventListener("input", redraw);
	byID("state").addEventListener("change", redraw);
	byID("more").addEventListener("click", () => {
		rows *= 4;
		redraw();
	});
	const dialog = byID("detail");
	byID("detail-close").addEventListener("click", () => dialog.close());
	dialog.addEventListener("click", (event) => {
		if (event.target === dialog) dialog.close();
	});
}
