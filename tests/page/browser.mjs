// What the page's tests share: Debian's Chromium on the page of a running daemon, and what must hold wherever it goes:
// nothing on the console but what was expected, nothing that the content security policy had to stop.
//
// `node NAME.mjs URL CONFIG [PASSWORD]`. WATCHWORD_PLAYWRIGHT is a folder with playwright-core in its node_modules; with
// WATCHWORD_SCREENSHOTS, a folder, pictures of what was seen are kept there.
import assert from "node:assert/strict";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

const { chromium } = createRequire(path.join(process.env.WATCHWORD_PLAYWRIGHT, "node_modules", "x"))("playwright-core");
const PATIENCE = Number(process.env.WATCHWORD_PATIENCE ?? 120_000); // the machine may be busy with other things

export const [url, config, password] = process.argv.slice(2);
export const written = () => fs.readFileSync(config, "utf8");

const executablePath = process.env.PATH.split(":").map((folder) => path.join(folder, "chromium")).find(fs.existsSync);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] }); // CI is root, and goes to no other site
const wrong = [];
const OURS = [/Multiple readback operations/]; // the tests look at pixels

/** A page of its own, with its own cookies. `expected`: what may stand on the console. */
export async function open({ expected = [], ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 1360, height: 850 }, colorScheme: "light", ...options });
    context.setDefaultTimeout(PATIENCE);
    const page = await context.newPage();
    const complain = (text) => [...OURS, ...expected].some((pattern) => pattern.test(text)) || wrong.push(text);
    page.on("console", (message) => ["error", "warning"].includes(message.type()) && complain(message.text()));
    page.on("pageerror", (error) => complain(String(error.stack)));
    await page.addInitScript(() => addEventListener("securitypolicyviolation", (event) => console.error(`CSP: ${event.violatedDirective} ${event.blockedURI}`)));
    return page;
}

/** Goes to a view. */
export const visit = (page, view) => page.goto(`${url}#/${view}`);

/** Waits until `condition`, which may be asynchronous, holds. */
export async function until(what, condition) {
    const end = Date.now() + PATIENCE;
    for (;;) {
        if (await condition()) return;
        assert.ok(Date.now() < end, `in vain: ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

/** Keeps a picture of the page, if pictures are kept. */
export async function shot(page, name) {
    const folder = process.env.WATCHWORD_SCREENSHOTS;
    if (folder) await page.screenshot({ path: path.join(folder, `${name}.png`) });
}

/** No part of the page is wider than the screen. */
export async function fits(page) {
    const wide = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide[0] <= wide[1], `${page.url()} is ${wide[0]} wide on a screen of ${wide[1]}`);
}

/** Runs the test and ends the program by what came of it. */
export async function test(steps) {
    let code = 0;
    try {
        await steps();
        assert.deepEqual(wrong, [], "on the console");
    } catch (error) {
        console.error(error.stack, wrong);
        code = 1;
    }
    await browser.close();
    process.exit(code);
}
