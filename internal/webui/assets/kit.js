// What the live page and the HTML report share. Everything that comes from the
// program is shown with textContent: no text becomes markup.

// el makes an element. Of its properties, class, text, on… and aria-… are what
// they say; others are attributes. Children are nodes or text.
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
const formatSigned = (n) => (n > 0 ? "+" : n < 0 ? "−" : "±") + wholeNumber.format(Math.abs(n));

function formatPercent(part, whole) {
	if (!whole) return "–";
	const p = (100 * part) / whole;
	return (p > 0 && p < 0.1 ? "<0.1" : p.toFixed(1)) + " %";
}

// formatSeconds tells a duration in its two largest units.
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

const formatTime = (unix) => new Date(unix * 1000).toLocaleTimeString([], { hour12: false });

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
// the stacked chart, from below.
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
// what people call it.
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

// soon runs a function once before the next picture, however often it is asked.
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
