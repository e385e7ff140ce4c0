// The page of `pgclip browse`. Everything that comes from rows is set as text, never as markup.

const $ = (id) => document.getElementById(id);
const MOST_BYTES = 64 * 1024 * 1024;
const MOST_PAIRS = 8;

/** What is shown: { text } or { like, name } or { picture }, with the answer's next page. */
let question = null;
let next = null;
let running = null;
let shown = 0;

function parameters(after) {
	const asked = new URLSearchParams();
	if (question.text !== undefined) asked.set("text", question.text);
	if (question.like !== undefined) asked.set("like", question.like);
	for (const id of ["modality", "filter", "words"]) {
		if ($(id).value.trim()) asked.set(id, $(id).value);
	}
	if (after) asked.set("after", after);
	return asked;
}

async function ask(after) {
	running?.abort();
	const mine = running = new AbortController();
	const options = { signal: mine.signal, credentials: "omit" };
	if (question.picture) Object.assign(options, { method: "POST", body: question.picture });
	const response = await fetch("search?" + parameters(after), options);
	let answer;
	try {
		answer = await response.json();
	} catch (e) {
		if (e.name === "AbortError") throw e;
		answer = { error: `the server answered ${response.status}` };
	}
	if (!response.ok) throw new Error([answer.error, answer.hint].filter(Boolean).join("\n"));
	return answer;
}

function what() {
	if (question.picture) return `Like the picture ${question.picture.name || "that was pasted"}`;
	if (question.like !== undefined) return `Like ${question.name}`;
	return question.text ? `Results for ${question.text}` : "Results";
}

/** Asks anew, or for the next page. `focus`: where the keyboard goes on is with what comes. */
async function search({ more = false, focus = false } = {}) {
	$("error").textContent = "";
	$("results").setAttribute("aria-busy", "true");
	$("status").textContent = more ? "Looking for more…" : "Searching…";
	let answer;
	try {
		answer = await ask(more ? next : null);
	} catch (e) {
		if (e.name === "AbortError") return;
		$("results").removeAttribute("aria-busy");
		$("status").textContent = "";
		$("error").textContent = e instanceof TypeError ? "The server does not answer: was pgclip ended?" : e.message;
		return;
	}
	$("results").removeAttribute("aria-busy");
	if (!more) {
		$("results").replaceChildren();
		shown = 0;
	}
	next = answer.next;
	const cards = answer.rows.map(card);
	$("results").append(...cards);
	shown += cards.length;
	$("more").hidden = !next;
	$("heading").textContent = what();
	show_question();
	const rows = shown === 1 ? "1 row" : `${shown} rows`;
	$("status").textContent = shown === 0 ? "No rows" : next ? `${rows}, and there may be more` : `${rows}, no more`;
	if (more) {
		const first = cards[0];
		(first?.querySelector("button:not([hidden])") ?? $("heading")).focus();
	} else if (focus) {
		$("heading").focus();
		$("heading").scrollIntoView({ block: "nearest" });
	}
}

function card(row) {
	const item = $("card").content.cloneNode(true).firstElementChild;
	const part = (selector) => item.querySelector(selector);
	const name = row.content_ref ?? "";
	item.classList.add(row.modality === "text" ? "text" : "image");
	if (row.modality !== "text") {
		const image = part("img");
		const sources = [];
		if (about.files && name) sources.push({ name });
		if (about.kept && row.key !== null) sources.push({ key: row.key });
		const show = () => {
			const source = sources.shift();
			image.hidden = !source;
			part(".missing").hidden = Boolean(source);
			if (source) image.src = "thumbnail?" + new URLSearchParams(source);
		};
		image.alt = name || "picture without a name";
		image.addEventListener("error", show);
		show();
	}
	part(".content").textContent = name;
	const kind = { image: "Picture", text: "Text" }[row.modality];
	const distance = row.distance === null ? "found by its words" : `distance ${row.distance.toFixed(4)}`;
	part(".distance").textContent = kind ? `${kind}, ${distance}` : distance;
	pairs(part("dl"), row.metadata);
	const like = part(".like");
	like.hidden = row.key === null;
	like.setAttribute("aria-label", `More like this: ${name.slice(0, 100)}`);
	like.addEventListener("click", () => open({ like: row.key, name: name.slice(0, 100) || "a row without a name" }));
	return item;
}

function pairs(list, metadata) {
	if (metadata === null || typeof metadata !== "object") return;
	const entries = Object.entries(metadata);
	for (const [key, value] of entries.slice(0, MOST_PAIRS)) {
		const [term, definition] = [document.createElement("dt"), document.createElement("dd")];
		term.textContent = key;
		const text = typeof value === "string" ? value : JSON.stringify(value);
		definition.textContent = text.length > 200 ? text.slice(0, 200) + "…" : text;
		list.append(term, definition);
	}
	list.hidden = entries.length === 0;
}

/** Above the results: a picture or a row that was asked with. */
function show_question() {
	const image = $("asked-picture");
	if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
	image.removeAttribute("src");
	$("asked").hidden = question.text !== undefined;
	$("asked-what").textContent = question.text === undefined ? what() : "";
	if (question.picture) image.src = URL.createObjectURL(question.picture);
}

/** Another question, to which the browser's back button leads back. */
function open(asked) {
	question = asked;
	if (asked.text === undefined) $("text").value = "";
	// A file is not kept: whoever comes back to it would have to send it anew.
	history.pushState(asked.picture ? null : asked, "");
	return search({ focus: true });
}

function take(file) {
	if (!file) return;
	if (file.size > MOST_BYTES) {
		$("error").textContent = "The picture has more than 64 MB.";
		return;
	}
	open({ picture: file });
}

$("query").addEventListener("submit", (event) => {
	event.preventDefault();
	const text = $("text").value.trim();
	// With other filters, but no other words, the question stays what it is.
	if (text || !question) {
		$("picture").value = "";
		if (!text) {
			$("error").textContent = "Type what to look for, or choose a picture.";
			$("text").focus();
			return;
		}
		open({ text });
	} else {
		search({ focus: true });
	}
});
$("picture").addEventListener("change", () => take($("picture").files[0]));
$("more").addEventListener("click", () => search({ more: true }));
$("forget").addEventListener("click", () => {
	$("asked").hidden = true;
	$("picture").value = "";
	question = null;
	$("text").focus();
});
$("modality").addEventListener("change", () => question && search());

window.addEventListener("popstate", (event) => {
	if (!event.state) return;
	question = event.state;
	$("text").value = question.text ?? "";
	search();
});

for (const kind of ["dragenter", "dragover"]) {
	document.addEventListener(kind, (event) => {
		if (!event.dataTransfer?.types.includes("Files")) return;
		event.preventDefault();
		document.body.classList.add("dropping");
	});
}
document.addEventListener("dragleave", (event) => {
	if (!event.relatedTarget) document.body.classList.remove("dropping");
});
document.addEventListener("drop", (event) => {
	document.body.classList.remove("dropping");
	if (!event.dataTransfer?.files.length) return;
	event.preventDefault();
	take(event.dataTransfer.files[0]);
});
document.addEventListener("paste", (event) => {
	const file = event.clipboardData?.files[0];
	if (!file) return;
	event.preventDefault();
	take(file);
});

const about = await (await fetch("about", { credentials: "omit" })).json();
document.title = `${about.table} – pg_clip`;
$("table").textContent = about.table;
$("about").textContent = `Database ${about.database}, model ${about.model}`;
$("modality-field").hidden = !about.modalities;
$("filter-field").hidden = !about.metadata;
