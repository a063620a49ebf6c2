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
// formatLeast formats a minimum age. Below a second, it says nothing yet.
const formatLeast = (s) => (s >= 1 ? formatAge(s) : "–");

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
	return el("span", { class: "function code" }, el("span", { class: "path", text: path }), short, line ? el("span", { class: "soft", text: ":" + line }) : null);
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

const tile = (name, big, small, more) => el("div", { class: "tile" }, el("dt", { text: name }), el("dd", { class: "big", text: big }), small ? el("dd", { class: "small soft", text: small }) : null, more ? el("dd", { class: "more" }, more) : null);
const fact = (name, value) => (value ? el("div", {}, el("dt", { text: name }), el("dd", {}, value)) : null);
const plural = (n, one) => formatCount(n) + " " + one + (n === 1 ? "" : "s");
const detectorName = (name) => name.replaceAll("_", " ");

// foldable makes a details element. What was opened or closed by hand stays so when
// the element is made again.
const folds = new Map();
function foldable(key, open, properties, summary, ...children) {
	const node = el("details", { ...properties, open: folds.get(key) ?? open },
		el("summary", { "data-key": key, onclick: () => folds.set(key, !node.open) }, ...summary), ...children);
	return node;
}

// findingKey identifies a finding; those of files have no ID.
const findingKey = (f) => "finding-" + (f.id || f.detector + "-" + f.stack_id + "-" + f.state);

// byGravity orders findings: the gravest first, and of equally grave ones the
// cause before its symptoms. Otherwise they keep their order.
const severities = ["error", "warn", "info"];
const causesFirst = ["deadlock", "hang", "leak", "blocked_forever", "growth", "contention", "pileup", "stall", "surge"];
function byGravity(findings) {
	const rank = (list, name) => (list.includes(name) ? list.indexOf(name) : list.length);
	return [...findings].sort((a, b) => rank(severities, a.severity) - rank(severities, b.severity) || rank(causesFirst, a.detector) - rank(causesFirst, b.detector));
}

// headline says in one sentence what is wrong. open is the number of findings,
// which may be more than the findings given.
function headline(findings, open, sight) {
	const first = findings[0];
	if (!first) return noFindings(sight);
	const named = detectorName(first.detector) + ".";
	const incidents = open - findings.filter((f) => f.severity === "info").length;
	if (first.severity === "info") return (allJudging(sight) ? "No incident. " : "") + plural(open, "finding") + " for information" + (open === 1 ? ": " : ", the first: ") + named;
	return plural(incidents, "incident") + (incidents === 1 ? ": " : ", the gravest: ") + named;
}

// renderHeadline shows the headline and the first step.
function renderHeadline(findings, open, sight) {
	const first = findings[0];
	const text = headline(findings, open, sight);
	const title = byID("findings-title");
	if (title.textContent !== text) title.textContent = text; // else it would be read aloud again
	byID("findings-panel").className = "panel verdict " + (first ? first.severity : allJudging(sight) ? "good" : "unknown");
	byID("first-step").replaceChildren(...(first && first.advice ? [el("b", { text: "First step: " }), first.advice] : []));
}

// participant shows one of the places of a finding. told are the sentences of the
// finding, which a note need not repeat; open shows the stack of the place.
function participant(p, told, key, open) {
	const note = p.note && !told.some((text) => text.includes(p.note));
	const where = p.at ? functionLabel(p.at.function, p.at.line) : el("span", { text: "an unknown place" });
	return el("li", {},
		el("span", { class: "badge info", text: p.title }), " ",
		formatGoroutines(p.count), " at ",
		open ? el("button", { type: "button", class: "plain", "data-key": key, onclick: open }, where) : where,
		p.state ? " " : null, p.state ? stateLabel(p.state) : null,
		p.created_by ? el("span", { class: "soft" }, ", created by ", functionLabel(p.created_by.function, p.created_by.line)) : null,
		note ? el("span", { class: "note", text: p.note }) : null);
}

// traceText names a trace, or a span, and how many goroutines have it.
const traceText = (t) => [t.trace_id && "trace " + t.trace_id, t.span_id && "span " + t.span_id].filter((s) => s).join(", ") + " (" + formatCount(t.count) + ")";

// linesShown is how many lines of evidence a card shows; the first ones tell the
// fault from others.
const linesShown = 3;
const lines = (list) => el("ul", { class: "evidence" }, ...list.map((e) => el("li", { text: e })));

// findingCard shows a finding. Options: first unfolds it and leaves the advice to
// the headline, openStack returns what shows the stack of a place, fresh marks it,
// times are the items of its history.
function findingCard(f, options) {
	const places = f.participants || [];
	const evidence = f.evidence || [];
	const open = options.openStack(places[0] || f) || options.openStack(f);
	const key = findingKey(f);
	return foldable(key, options.first, { class: "finding " + f.severity + (options.fresh ? " fresh" : ""), "data-finding": f.detector },
		[
			el("h3", { text: detectorName(f.detector) }), " ",
			el("span", { class: "badge " + f.severity, text: f.confidence }), " ",
			f.unjudged ? el("span", { class: "badge warn", text: "not judged now" }) : "", " ",
			el("span", { class: "message", text: f.message }),
		],
		f.unjudged ? el("p", { class: "small", text: "Not judged now: " + f.unjudged + "." }) : null,
		f.advice && !options.first ? el("p", {}, el("b", { text: "Next: " }), f.advice) : null,
		evidence.length ? lines(evidence.slice(0, linesShown)) : null,
		f.traces ? el("p", { class: "small" }, "Started in ", el("span", { class: "code", text: f.traces.map(traceText).join("; ") })) : null,
		f.labels ? el("p", { class: "small" }, "Labels ", el("span", { class: "code", text: f.labels.map((l) => l.key + "=" + JSON.stringify(l.value || "")).join(", ") })) : null,
		open ? el("button", { type: "button", "data-key": key + "-stack", onclick: open, text: "Show the stack" }) : null,
		findingRest(f, key, evidence.slice(linesShown), places, options));
}

// findingRest is what a card folds at first.
function findingRest(f, key, evidence, places, options) {
	const times = options.times || [];
	const has = [evidence.length ? plural(evidence.length, "line") + " of evidence" : "", places.length ? plural(places.length, "place") : "", times.length ? "times" : ""].filter((s) => s);
	if (!has.length) return null;
	return foldable(key + "-rest", false, { class: "small rest" }, ["More: " + has.join(", ")],
		evidence.length ? lines(evidence) : null,
		places.length ? el("ul", { class: "participants", "aria-label": "Places" }, ...places.map((p, i) => participant(p, [f.message, ...(f.evidence || [])], key + "-place-" + i, options.openStack(p)))) : null,
		times.length ? el("ol", { class: "timeline soft", "aria-label": "Timeline" }, ...times) : null);
}

// showCard unfolds the card of a finding and moves there. render makes the cards.
function showCard(f, render) {
	if (byID("detail").open) byID("detail").close();
	folds.set(findingKey(f), true);
	render();
	for (const node of document.querySelectorAll("#findings > details > summary")) {
		if (node.dataset.key !== findingKey(f)) continue;
		node.scrollIntoView({ block: "center" });
		node.focus({ preventScroll: true });
	}
}

// findingsByStack returns the findings about each stack, by its number. numbersOf
// returns the numbers of the stacks of a place.
function findingsByStack(findings, numbersOf) {
	const marks = new Map();
	for (const f of findings) {
		for (const n of new Set([f, ...(f.participants || [])].flatMap(numbersOf))) marks.set(n, [...(marks.get(n) || []), f]);
	}
	return marks;
}

// findingBadges name the findings about a stack. show opens the card of one.
const findingBadges = (findings, key, show) => (findings || []).map((f) =>
	el("button", { type: "button", class: "badge " + f.severity, "data-key": key + findingKey(f), title: "Show the finding", onclick: () => show(f), text: detectorName(f.detector) }));

// --- What the findings cover -------------------------------------------------

const allJudging = (sight) => !sight || (sight.judging > 0 && sight.judging === sight.detectors.length);

// noFindings says what it means that there are none.
function noFindings(sight) {
	if (!sight) return "No findings.";
	const all = sight.detectors.length;
	if (!all) return "No detector is used.";
	if (allJudging(sight)) return "No findings. " + (all === 1 ? "The only detector is judging." : "All " + all + " detectors are judging.");
	return sight.judging ? "No findings from " + sight.judging + " of " + all + " detectors; the others are not judging." : "Unknown: no detector is judging.";
}

const verdictAt = (c) => c.verdict_at && "a verdict is possible at " + formatTime(unix(c.verdict_at));

// candidateText describes what is under suspicion, without the name of the detector.
function candidateText(c) {
	const place = c.at ? [" at ", functionLabel(c.at.function, c.at.line)] : [];
	const numbers = [formatGoroutines(c.count), c.growth_per_minute ? formatSigned(Math.round(c.growth_per_minute)) + " a minute" : "", c.exits ? plural(c.exits, "exit") : "no exits"];
	return [el("b", { text: detectorName(c.detector) }), ...place, ": ", [numbers.filter((n) => n).join(", "), verdictAt(c), c.missing].filter((s) => s).join("; ")];
}

// candidates shows in one line what the detectors suspect without a verdict yet.
function candidates(sight) {
	const all = (sight && sight.candidates) || [];
	if (!all.length) return null;
	if (all.length === 1) return el("p", { class: "candidates" }, "Under suspicion: ", ...candidateText(all[0]));
	const soonest = all.filter(verdictAt).sort((a, b) => unix(a.verdict_at) - unix(b.verdict_at))[0];
	return foldable("candidates", false, { class: "candidates" }, ["Under suspicion: " + plural(all.length, "place") + (soonest ? "; " + verdictAt(soonest) : "")],
		el("ul", {}, ...all.map((c) => el("li", {}, ...candidateText(c)))));
}

// judgingAt says when detectors can judge at the earliest, if that is known of each.
function judgingAt(detectors) {
	const times = detectors.map((d) => unix(d.judging_at));
	return times.length && times.every((t) => t) ? "; " + (times.length === 1 ? "it" : "they") + " can judge at " + formatTime(Math.max(...times)) + " at the earliest" : "";
}

// gaps says in one line which detectors are not judging and why, and how old the
// newest snapshot is, in words. The reason for each is folded.
function gaps(sight, age, open) {
	if (!sight) return null;
	const newest = el("span", { id: "sight-age", text: age });
	const away = sight.detectors.filter((d) => !d.judging);
	if (!away.length) return el("p", { class: "soft" }, newest);
	const short = away.filter((d) => d.reason === "short_history" || d.reason === "inspection");
	const blind = away.filter((d) => !short.includes(d));
	const why = [...new Set(blind.map((d) => d.detail))];
	const said = [
		blind.length ? plural(blind.length, "detector") + " cannot judge" + (why.length === 1 ? ": " + why[0] : "") : "",
		short.length ? (blind.length ? formatCount(short.length) : plural(short.length, "detector")) + (short.length === 1 ? " needs" : " need") + " more snapshots" + judgingAt(short) : "",
	].filter((s) => s);
	const names = new Map(); // by detail
	for (const d of [...blind, ...short]) names.set(d.detail, [...(names.get(d.detail) || []), detectorName(d.name)]);
	return foldable("gaps", open, { class: blind.length ? "blind" : "soft" }, [said.join("; ") + ". ", newest],
		el("ul", {}, ...[...names].map(([detail, of]) => el("li", {}, el("b", { text: of.join(", ") }), ": " + detail))));
}

const renderCoverage = (sight, age, open) => byID("sight").replaceChildren(...[candidates(sight), gaps(sight, age, open)].filter((node) => node));

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
function placeCell(s, key, open, badges) {
	const name = s.where ? s.where.function : s.id === "_OTHER" ? "(many small stacks)" : "(on a CPU)";
	return el("td", {},
		el("div", { class: "narrow small" }, stateLabel(s.state)),
		el("button", { type: "button", class: "plain", "data-key": key, onclick: open }, functionLabel(name, s.where ? s.where.line : 0)),
		...badges.flatMap((badge) => [" ", badge]),
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
// their number, rest is a number of goroutines at other stacks, marks has the
// findings about stacks by number.
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
	icicle.show(inState, options.marks);
	icicle.search(query);
}

// dump is the stack in the dialog as a goroutine dump, for the button Copy.
let dump = "";

// dumpOf writes one goroutine of a stack in the form of a goroutine dump. An ID of 0
// stands for one that is not known.
function dumpOf(s, frames) {
	const minutes = Math.floor((s.waiting_seconds || 0) / 60);
	const wait = minutes > 0 ? ", " + minutes + (minutes === 1 ? " minute" : " minutes") : "";
	const at = (f) => "\n\t" + (f.file || "?") + ":" + (f.line || 0);
	const calls = frames.map((f) => (f.function === "…" ? "...additional frames elided..." : f.function + "(...)" + at(f)));
	if (s.created_by) calls.push("created by " + s.created_by.function + at(s.created_by));
	return ["goroutine " + ((s.goroutine_ids && s.goroutine_ids[0]) || 0) + " [" + (s.state || "running") + wait + "]:", ...calls].join("\n") + "\n";
}

// copyDump copies the stack. Outside of a secure context there is no clipboard but
// that of a selected text.
async function copyDump() {
	const text = dump;
	const done = navigator.clipboard && (await navigator.clipboard.writeText(text).then(() => true, () => false));
	byID("detail-note").textContent = done || copySelected(text) ? "Copied as a goroutine dump." : "This browser does not allow it. Select the stack and copy it.";
}

function copySelected(text) {
	const field = el("textarea", { readonly: true, class: "away", "aria-hidden": "true" });
	field.value = text;
	byID("detail").append(field); // only the dialog can have the focus
	field.select();
	const done = document.execCommand("copy");
	field.remove();
	byID("detail-copy").focus();
	return done;
}

const frameItem = (f, before) => el("li", { class: f.standard || before ? "" : "own" }, before, functionLabel(f.function), f.file ? el("span", { class: "at code", text: f.file + ":" + f.line }) : null);

// showStack fills the dialog with a stack. facts and sections are shown next to
// those that every stack has.
function showStack(s, where, trace, facts, sections) {
	byID("detail-title").replaceChildren(functionLabel(where ? where.function : s.id, where ? where.line : 0));
	dump = trace.length ? dumpOf(s, trace) : "";
	byID("detail-copy").hidden = !dump;
	const frames = trace.length ? trace : [{ function: "(no stack: it was on a CPU)", standard: true }];
	keepFocus(() => byID("detail-body").replaceChildren(
		el("section", { "aria-label": "Stack" }, el("p", {}, formatGoroutines(s.count) + " in ", stateLabel(s.state)),
			el("ol", { class: "trace" }, ...frames.map((f) => frameItem(f, "")), s.created_by ? frameItem(s.created_by, "created by ") : "")),
		s.known ? el("p", { class: "small" }, el("span", { class: "badge good", text: "waits by design" }), " " + s.known) : "",
		...sections,
		el("dl", { class: "facts" },
			...facts,
			fact("Oldest, at least", formatLeast(s.oldest_seconds)),
			fact("Waiting", s.waiting_seconds ? formatSeconds(s.waiting_seconds) : ""),
			fact("Stack ID", el("code", { text: s.id })),
			fact("Goroutine IDs, oldest first", s.goroutine_ids ? el("span", { class: "code", text: s.goroutine_ids.join(", ") + (s.count > s.goroutine_ids.length ? ", …" : "") }) : ""),
			fact("Lock", s.lock ? el("code", { text: s.lock }) : ""),
			fact("Labels", s.labels ? s.labels.map((l) => l.key + (l.value ? "=" + l.value : "")).join(", ") : ""))));
}

// showDialog opens the dialog with nothing of an earlier stack in it.
function showDialog() {
	byID("detail-note").textContent = "";
	if (!byID("detail").open) byID("detail").showModal();
	byID("detail").scrollTop = 0;
}

// stackFindings shows the findings about a stack in its dialog.
const stackFindings = (findings, show) => (findings || []).map((f) => el("p", { class: "small" }, ...findingBadges([f], "detail-", show), " " + f.message));

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
	byID("detail-copy").addEventListener("click", copyDump);
	dialog.addEventListener("click", (event) => {
		if (event.target === dialog) dialog.close();
	});
}
