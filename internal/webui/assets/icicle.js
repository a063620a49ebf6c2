// The icicle graph: all goroutines by stack. A block is a function on some
// stacks, as wide as the number of their goroutines; the functions that it
// called are below it, and the states are at the bottom.

// buildTree merges stacks into a tree. A stack has a path of frames, outermost
// first, a state, a count, the count before if there is one, and a number. marks
// has the findings about stacks by number; kindOf returns the kind of a frame.
function buildTree(stacks, marks, kindOf) {
	const make = (name, kind, parent) => ({ name, kind, key: kind + name, count: 0, before: 0, found: 0, detectors: new Set(), children: new Map(), parent, depth: parent ? parent.depth + 1 : 0 });
	const root = make("all goroutines", "", null);
	const below = (node, name, kind) => {
		const key = kind + name;
		if (!node.children.has(key)) node.children.set(key, make(name, kind, node));
		return node.children.get(key);
	};
	for (const s of stacks) {
		let node = root;
		const found = (marks && marks.get(s.number)) || [];
		const add = () => {
			node.count += s.count;
			node.before += s.before || 0;
			node.found += found.length ? s.count : 0;
			for (const f of found) node.detectors.add(detectorName(f.detector));
		};
		add();
		for (const frame of s.path) {
			node = below(node, frame.function, kindOf(frame));
			add();
		}
		node = below(node, s.state || "(any state)", "state");
		add();
		node.number = s.number;
	}
	return root;
}

function hashHue(text) {
	let h = 0;
	for (let i = 0; i < text.length; i++) h = (h * 31 + text.charCodeAt(i)) >>> 0;
	return h % 360;
}

// packageHue gives every package a hue of its own: own code is green, libraries are
// blue and violet.
function packageHue(name, kind) {
	const [path, short] = splitFunction(name);
	const [from, to] = kind === "own" ? [75, 160] : [210, 300];
	return from + (hashHue(path + short.split(".")[0]) * (to - from)) / 360;
}

// frameKinds returns what tells own code, libraries and the standard library apart.
// Without the path of the main module, libraries count as own code.
function frameKinds(module) {
	const own = (name) => !module || name.startsWith("main.") || name.startsWith(module + "/") || name.startsWith(module + ".");
	return (frame) => (frame.standard ? "standard" : own(frame.function) ? "own" : "library");
}

// arrange orders the children of every node by size, the largest first. Those that
// differ by less than a quarter keep the order that they had in an earlier tree, so
// that a living graph is calm; with keep, all of them do.
function arrange(node, earlier, size, keep) {
	const children = [...node.children.values()].filter((c) => size(c) > 0);
	node.sorted = children.length < 2 ? children : ordered(children, earlier, size, keep);
	for (const child of children) arrange(child, earlier && earlier.children.get(child.key), size, keep);
}

function ordered(children, earlier, size, keep) {
	const at = new Map(((earlier && earlier.sorted) || []).map((child, i) => [child.key, i]));
	const place = (child) => at.get(child.key) ?? at.size;
	const sorted = [];
	for (const child of children.sort((a, b) => place(a) - place(b) || size(b) - size(a) || (a.key < b.key ? -1 : 1))) {
		const calm = at.has(child.key) ? 1.25 : 1;
		let i = sorted.length;
		while (!(keep && at.size) && i > 0 && size(child) > calm * size(sorted[i - 1])) i--;
		sorted.splice(i, 0, child);
	}
	return sorted;
}

// makeIcicle puts the graph into a host. Options: compare colours blocks by
// their change; open is called with the number of the chosen stack; module returns
// the path of the main module, or nothing if it is not known.
function makeIcicle(host, options) {
	const rowHeight = 21;
	const line = el("p", { class: "icicle-line small", "aria-live": "polite" });
	const reset = el("button", { type: "button", text: "Reset zoom", disabled: true, onclick: () => zoom(null) });
	const canvas = el("canvas", {
		tabindex: "0",
		role: "application",
		"aria-label": "Icicle graph of all goroutines by stack. Arrow keys move between functions, Enter zooms, Escape zooms out, O opens the stack.",
	});
	const view = el("div", { class: "icicle-view" }, canvas);
	const tip = el("div", { class: "tip", hidden: true });
	const marked = el("p", { class: "unseen" });
	const key = el("ul", { class: "key small", "aria-label": "Legend of the graph" });
	host.replaceChildren(el("div", { class: "icicle" }, el("div", { class: "row" }, line, el("span", { class: "grow" }), reset), view, key, marked, tip));

	let root = buildTree([], null, () => "own");
	let zoomPath = []; // keys, from the root
	let cursorPath = null;
	let query = "";
	let blocks = [];
	const paint = soon(draw);

	const pathOf = (node) => {
		const keys = [];
		for (let n = node; n.parent; n = n.parent) keys.unshift(n.key);
		return keys;
	};
	// follow returns the node at a path, or the last one that exists.
	const follow = (keys) => {
		let node = root;
		for (const key of keys) {
			if (!node.children.has(key)) break;
			node = node.children.get(key);
		}
		return node;
	};
	const zoomed = () => follow(zoomPath);
	const size = (node) => (options.compare ? Math.max(node.count, node.before) : node.count);
	const sorted = (node) => node.sorted || [];
	const bySize = (node) => [...sorted(node)].sort((a, b) => size(b) - size(a));
	// isFinding reports whether all goroutines of a block belong to findings.
	const isFinding = (node) => node.found > 0 && node.found === node.count;

	function describe(node) {
		let text = node.name + " · " + formatCount(node.count) + " (" + formatPercent(node.count, root.count) + ")";
		if (options.compare) text += " · " + formatSigned(node.count - node.before) + " since";
		if (node.found) text += " · " + (isFinding(node) ? "finding: " : formatCount(node.found) + " in findings: ") + [...node.detectors].join(", ");
		return text;
	}
	// describeFindings names the marked blocks for those who cannot see them.
	function describeFindings() {
		const texts = [];
		const visit = (node) => (node.kind === "state" && node.found ? texts.push(formatGoroutines(node.found) + " at " + node.parent.name + " in " + node.name + ": " + [...node.detectors].join(", ")) : sorted(node).forEach(visit));
		visit(root);
		const text = texts.length ? "Marked as findings: " + texts.join("; ") + "." : "";
		if (marked.textContent !== text) marked.textContent = text;
	}
	// explain fills the legend.
	function explain(module) {
		const item = (kind, text) => el("li", {}, el("span", { class: "swatch " + kind + "-swatch", "aria-hidden": "true" }), text);
		const code = module ? [item("own", "own code"), item("library", "libraries")] : [item("own", "own code and libraries")];
		const items = options.compare
			? [item("grew", "more now"), item("shrank", "fewer"), item("same", "unchanged")]
			: [...code, item("standard", "standard library"), item("states", "states, at the bottom")];
		key.replaceChildren(...items, item("finding", "finding"));
	}
	function say() {
		const node = cursorPath ? follow(cursorPath) : zoomed();
		const prefix = cursorPath ? "" : zoomPath.length ? "Zoomed to " : "";
		line.textContent = prefix + describe(node) + (query ? " · " + matchText() : "");
		canvas.dataset.zoom = zoomPath.length ? zoomed().name : "";
	}
	const matches = (node) => query !== "" && node.name.toLowerCase().includes(query);
	function matchText() {
		const count = (node) => (matches(node) ? node.count : [...node.children.values()].reduce((sum, c) => sum + count(c), 0));
		const n = count(root);
		return formatCount(n) + " (" + formatPercent(n, root.count) + ") match “" + query + "”";
	}

	function fill(node) {
		if (options.compare) {
			const change = node.count - node.before;
			const share = Math.min(1, Math.abs(change) / Math.max(node.count, node.before, 1));
			if (change === 0) return [colour("same"), 1];
			return [colour(change > 0 ? "grew" : "shrank"), 0.25 + 0.75 * share];
		}
		if (node.kind === "state") return [stateColour(node.name), 1];
		if (node.kind === "own" || node.kind === "library") return ["hsl(" + packageHue(node.name, node.kind) + " " + colour("frame-saturation") + " " + colour("frame-lightness") + ")", 1];
		return [colour("standard"), 1];
	}
	const ink = (node) => {
		if (options.compare) return fill(node)[1] > 0.6 && node.count !== node.before ? colour("panel") : colour("frame-text");
		return node.kind === "own" || node.kind === "library" ? colour("frame-text") : node.kind === "state" ? "#101418" : colour("standard-text");
	};

	// place lays out the visible blocks: the ancestors of the zoomed node at full
	// width, and below it every block that is at least half a pixel wide.
	function place(width) {
		blocks = [];
		const focus = zoomed();
		for (let n = focus; n; n = n.parent) blocks.unshift({ node: n, x: 0, w: width });
		const descend = (node, x, w) => {
			const children = sorted(node);
			const whole = Math.max(size(node), children.reduce((sum, c) => sum + size(c), 0));
			for (const child of children) {
				const part = (w * size(child)) / whole;
				if (part >= 0.5) {
					blocks.push({ node: child, x, w: part });
					descend(child, x, part);
				}
				x += part;
			}
		};
		descend(focus, 0, width);
		return 1 + blocks.reduce((deepest, b) => Math.max(deepest, b.node.depth), 0);
	}

	function draw() {
		const width = Math.max(200, view.clientWidth);
		const rows = place(width);
		const ratio = window.devicePixelRatio || 1;
		const height = rows * rowHeight;
		canvas.width = Math.round(width * ratio);
		canvas.height = Math.round(height * ratio);
		canvas.style.height = height + "px";
		const c = canvas.getContext("2d");
		c.scale(ratio, ratio);
		c.font = "12px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";
		c.textBaseline = "middle";
		const letter = c.measureText("m").width;
		const at = cursorPath ? follow(cursorPath) : null;
		const above = new Set();
		for (let n = zoomed().parent; n; n = n.parent) above.add(n);
		for (const b of blocks) block(c, b, letter, at, above.has(b.node));
		reset.disabled = zoomPath.length === 0;
		say();
	}

	function block(c, b, letter, at, above) {
		const y = b.node.depth * rowHeight;
		const [paintWith, strength] = fill(b.node);
		c.globalAlpha = (query && !matches(b.node) ? 0.35 : 1) * (above ? 0.6 : 1) * strength;
		c.fillStyle = paintWith;
		const w = Math.max(0.5, b.w - (b.w > 3 ? 1 : 0));
		c.fillRect(b.x, y, w, rowHeight - 1);
		c.globalAlpha = 1;
		const outline = b.node === at ? "text" : matches(b.node) ? "accent" : isFinding(b.node) ? "mark" : "";
		if (outline) {
			c.strokeStyle = colour(outline);
			c.lineWidth = 2;
			c.strokeRect(b.x + 1, y + 1, Math.max(1, w - 2), rowHeight - 3);
		}
		const room = Math.floor((w - 8) / letter);
		if (room < 3) return;
		const short = splitFunction(b.node.name)[1];
		const text = room >= b.node.name.length ? b.node.name : short.length <= room ? short : short.slice(0, room - 1) + "…";
		c.fillStyle = query && !matches(b.node) ? colour("soft") : ink(b.node);
		c.fillText(text, b.x + 4, y + rowHeight / 2);
	}
	function hit(event) {
		const box = canvas.getBoundingClientRect();
		const x = event.clientX - box.left;
		const depth = Math.floor((event.clientY - box.top) / rowHeight);
		const b = blocks.find((b) => b.node.depth === depth && x >= b.x && x < b.x + Math.max(b.w, 1));
		return b && b.node;
	}
	function zoom(node) {
		zoomPath = node ? pathOf(node) : [];
		cursorPath = null;
		tip.hidden = true;
		paint();
	}
	// choose zooms into a block; a state at the bottom opens its stack.
	function choose(node) {
		if (node.kind === "state" && node.number !== undefined && options.open) options.open(node.number);
		else zoom(node === zoomed() ? node.parent : node);
	}
	function firstNumber(node) {
		if (node.number !== undefined) return node.number;
		const largest = bySize(node)[0];
		return largest && firstNumber(largest);
	}

	canvas.addEventListener("click", (event) => {
		const node = hit(event);
		if (node) choose(node);
	});
	canvas.addEventListener("mousemove", (event) => {
		const node = hit(event);
		tip.hidden = !node;
		if (!node) return;
		tip.textContent = describe(node);
		tip.style.left = Math.max(4, Math.min(event.clientX + 12, window.innerWidth - tip.offsetWidth - 8)) + "px";
		tip.style.top = (event.clientY + 18 + tip.offsetHeight > window.innerHeight ? event.clientY - tip.offsetHeight - 8 : event.clientY + 18) + "px";
	});
	canvas.addEventListener("mouseleave", () => (tip.hidden = true));
	canvas.addEventListener("blur", () => {
		cursorPath = null;
		paint();
	});
	canvas.addEventListener("keydown", (event) => {
		const node = cursorPath ? follow(cursorPath) : zoomed();
		const siblings = node.parent ? sorted(node.parent) : [node];
		const at = siblings.indexOf(node);
		const moves = {
			ArrowUp: () => node.parent,
			ArrowDown: () => bySize(node)[0],
			ArrowLeft: () => siblings[at - 1],
			ArrowRight: () => siblings[at + 1],
		};
		if (moves[event.key]) {
			const next = moves[event.key]();
			if (next) {
				cursorPath = pathOf(next);
				reveal(next);
			}
		} else if (event.key === "Enter") choose(node);
		else if (event.key === "Escape") zoom(zoomed().parent);
		else if (event.key === "o" && options.open && firstNumber(node) !== undefined) options.open(firstNumber(node));
		else return;
		event.preventDefault();
		paint();
	});
	function reveal(node) {
		const y = node.depth * rowHeight;
		if (y < view.scrollTop) view.scrollTop = y;
		else if (y + rowHeight > view.scrollTop + view.clientHeight) view.scrollTop = y + rowHeight - view.clientHeight;
	}
	new ResizeObserver(paint).observe(view);
	onTheme(paint);

	return {
		// show replaces the stacks and keeps the zoom as far as its path still exists.
		// marks has the findings about stacks by number.
		show(stacks, marks) {
			const earlier = root;
			const module = options.module && options.module();
			root = buildTree(stacks, marks, frameKinds(module));
			explain(module);
			arrange(root, earlier, size, canvas.matches(":hover"));
			zoomPath = pathOf(follow(zoomPath));
			describeFindings();
			paint();
		},
		search(text) {
			query = text.trim().toLowerCase();
			paint();
		},
		// blockAt returns the middle of the first block with a name, in the
		// coordinates of the window: for tests.
		blockAt(name) {
			const b = blocks.find((b) => b.node.name === name);
			if (!b) return null;
			const box = canvas.getBoundingClientRect();
			return { x: box.left + b.x + b.w / 2, y: box.top + (b.node.depth + 0.5) * rowHeight };
		},
		// marks returns the names of the outlined blocks: for tests.
		marks: () => blocks.filter((b) => isFinding(b.node)).map((b) => b.node.name),
		zoomedTo: () => (zoomPath.length ? zoomed().name : ""),
	};
}
