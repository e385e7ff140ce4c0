// The page of `pgclip browse` in a browser without a window, by keyboard alone, and by axe-core's rules of accessibility. Not part of
// `make test`, as it needs a browser:
//
//   pgclip browse --table items --root DIR      # a table of more than 48 pictures and some texts; prints ADDRESS
//   npm install playwright-core axe-core        # in some directory, and there:
//   node .../pg_test/browser/browse.mjs ADDRESS WORDS PICTURE [FILTER]
//
// WORDS find something; PICTURE is a file; FILTER, for the field of metadata, leaves some of what the words find. CHROMIUM names the
// browser, else /usr/bin/chromium.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.cwd() + "/");
const { chromium } = require("playwright-core");
const axe = fs.readFileSync(require.resolve("axe-core"), "utf8");
const [address, words, picture, filter] = process.argv.slice(2);

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
try {
	for (const colorScheme of ["light", "dark"]) await check(colorScheme);
} finally {
	await browser.close();
}

async function check(colorScheme) {
	const page = await browser.newPage({ colorScheme });
	const complaints = [];
	page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
	page.on("pageerror", (error) => complaints.push(String(error)));
	page.on("request", (request) => {
		const url = request.url();
		if (!url.startsWith(address) && !url.startsWith("blob:")) complaints.push(`request to ${url}`);
		if (request.headers().referer) complaints.push(`referrer sent to ${url}`);
	});
	await page.goto(address);
	await page.waitForFunction(() => document.title !== "pg_clip");

	const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.className);
	const status = (pattern) => page.waitForFunction((p) => new RegExp(p).test(document.getElementById("status").textContent), pattern);
	const heading = () => page.textContent("#heading");
	const count = () => page.locator("#results > li").count();
	async function tab_to(what, most = 200) {
		for (let i = 0; i < most; i++) {
			await page.keyboard.press("Tab");
			if (await focused() === what) return i + 1;
		}
		assert.fail(`the keyboard does not reach ${what}`);
	}
	async function accessible(where) {
		await page.evaluate(axe);
		const { violations } = await page.evaluate(() => axe.run(document, { resultTypes: ["violations"] }));
		const told = violations.map((v) => `${v.id} (${v.impact}): ${v.help}\n    ${v.nodes.slice(0, 3).map((n) => n.html).join("\n    ")}`);
		assert.equal(told.length, 0, `${where}, ${colorScheme}:\n${told.join("\n")}`);
	}

	await accessible("before a search");
	assert.equal(await focused(), "text");
	// nothing typed
	await page.keyboard.press("Enter");
	assert.match(await page.textContent("#error"), /Type what to look for/);
	await accessible("an error");

	await page.keyboard.type(words);
	await page.keyboard.press("Enter");
	await status("^24 rows, and there may be more$");
	assert.equal(await focused(), "heading");
	assert.equal(await heading(), `Results for ${words}`);
	assert.equal(await page.textContent("#error"), "");
	await accessible("results");
	const first = await page.textContent("#results .content");

	const label = () => page.evaluate(() => document.activeElement.getAttribute("aria-label"));
	await tab_to("like", 3);
	assert.equal(await label(), `More like this: ${first}`);
	await page.keyboard.press("Enter");
	await page.waitForFunction((name) => document.getElementById("heading").textContent === `Like ${name}`, first);
	assert.equal(await focused(), "heading");
	assert.equal(await count(), 23);
	await accessible("like a row");

	await tab_to("more");
	await page.keyboard.press("Enter");
	await status("^47 rows");
	assert.equal(await focused(), "like");
	assert.equal(await label(), `More like this: ${await page.locator("#results .content").nth(23).textContent()}`);

	await page.evaluate(() => history.back());
	await page.waitForFunction((w) => document.getElementById("heading").textContent === `Results for ${w}`, words);
	await status("^24 rows");

	if (await page.isVisible("#modality")) {
		await page.focus("#modality");
		await page.keyboard.press("ArrowDown");
		await page.waitForFunction(() => !document.querySelector("#results li.text"));
		await status("^24 rows");
	}
	if (filter) {
		await page.focus("#filter");
		await page.keyboard.type(filter);
		await page.keyboard.press("Enter");
		await status("^\\d+ rows?");
		assert.ok(await count() > 0);
		await page.fill("#filter", "{");
		await page.keyboard.press("Enter");
		await page.waitForFunction(() => document.getElementById("error").textContent !== "");
		await page.fill("#filter", "");
	}

	// a picture: chosen, then dropped
	await page.setInputFiles("#picture", picture);
	await page.waitForFunction(() => document.getElementById("heading").textContent.startsWith("Like the picture"));
	await accessible("like a picture");
	await page.waitForFunction(() => document.getElementById("asked-picture").naturalWidth > 0);
	const bytes = fs.readFileSync(picture).toString("base64");
	await page.evaluate((data) => {
		const file = new File([Uint8Array.from(atob(data), (c) => c.charCodeAt(0))], "dropped.png");
		const transfer = new DataTransfer();
		transfer.items.add(file);
		document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
	}, bytes);
	await page.waitForFunction(() => document.getElementById("heading").textContent === "Like the picture dropped.png");
	await status("^24 rows");

	// pictures come as they are looked at
	await page.evaluate(() => document.querySelectorAll("#results img").forEach((image) => { image.loading = "eager"; }));
	await page.waitForFunction(() => [...document.querySelectorAll("#results img:not([hidden])")].every((image) => image.complete));
	const [shown, named] = await page.evaluate(() => {
		const images = [...document.querySelectorAll("#results img")];
		return [images.filter((image) => image.naturalWidth > 0).length, images.every((image) => image.hidden || image.alt)];
	});
	assert.ok(shown > 0 && named);

	// a narrow window needs no scrolling to the side
	await page.setViewportSize({ width: 320, height: 640 });
	assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= 320));
	await accessible("a narrow window");
	// of the filter that was wrong on purpose
	assert.deepEqual(complaints.filter((text) => !text.includes("400 (Bad Request)")), []);
	if (process.env.SCREENSHOTS) {
		await page.setViewportSize({ width: 1200, height: 900 });
		await page.screenshot({ path: `${process.env.SCREENSHOTS}/browse-${colorScheme}.png` });
	}
	await page.close();
	console.log(`${colorScheme}: words, like a row, more, back, kind, filter, a picture chosen and dropped; ${shown} pictures; no violations`);
}
