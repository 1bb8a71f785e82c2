// For everybody: small to load, usable by keyboard alone, on a phone, in the dark; and plain about a box that is away.
import assert from "node:assert/strict";
import { fits, open, shot, test, until, url, visit } from "./browser.mjs";

const LIMIT = 150 * 1024;
const VIEWS = ["live", "words", "zones", "health"];

await test(async () => {
    // The first load, as it goes over the wire.
    const page = await open();
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    const files = new Map();
    let bytes = 0;
    session.on("Network.responseReceived", ({ requestId, response }) => new URL(response.url).pathname.startsWith("/api/") || files.set(requestId, response.url));
    session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => files.has(requestId) && (bytes += encodedDataLength));
    await visit(page, "live");
    await page.locator('figure[data-state="live"]').first().waitFor();
    for (const file of files.values()) assert.ok(file.startsWith(url), `${file} is from elsewhere`);
    assert.ok(files.size > 10 && bytes > 10_000 && bytes <= LIMIT, `${files.size} files, ${bytes} bytes`);
    console.log(`first load: ${files.size} files, ${bytes} bytes`);

    // By keyboard: to each view and into it, with the focus always visible.
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.textContent), "To the content");
    for (const view of VIEWS) {
        await page.getByRole("link", { name: new RegExp(`^${view}$`, "i") }).focus();
        await page.keyboard.press("Enter");
        await page.locator(`.${view}`).waitFor();
        assert.equal(await page.locator("nav a[aria-current=page]").textContent(), view[0].toUpperCase() + view.slice(1));
        const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
        assert.equal(outline, "solid");
    }
    await visit(page, "live");
    await page.locator(".event").first().focus();
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor();
    await page.keyboard.press("Escape");
    await until("the focus is back", () => page.evaluate(() => document.activeElement.classList.contains("event")));

    // What cannot be seen has a name.
    for (const view of VIEWS) {
        await visit(page, view);
        await page.locator(`.${view} :is(canvas, input, meter)`).first().waitFor();
        const nameless = await page.evaluate(() => [...document.querySelectorAll("input, select, textarea, button, canvas, svg[role=img], img, meter")]
            .filter((element) => element.checkVisibility() && !(element.labels?.length || element.ariaLabel || element.textContent.trim() || element.alt || element.ariaHidden))
            .map((element) => element.outerHTML.slice(0, 120)));
        assert.deepEqual(nameless, [], view);
    }

    // On a phone nothing is wider than the screen; text is readable in both themes.
    for (const colorScheme of ["dark", "light"]) {
        const phone = await open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, colorScheme });
        for (const view of VIEWS) {
            await visit(phone, view);
            await phone.locator(`.${view} :is(canvas, input, tbody tr)`).first().waitFor();
            await fits(phone);
            const weak = await phone.evaluate(contrasts);
            assert.deepEqual(weak, [], `${view}, ${colorScheme}`);
            await shot(phone, `phone-${view}-${colorScheme}`);
        }
        await phone.context().close();
    }

    // The box goes away, and comes back.
    const far = await open({ expected: [/ERR_INTERNET_DISCONNECTED|WebSocket/] });
    await visit(far, "health");
    await far.locator(".figure").first().waitFor();
    await far.context().setOffline(true);
    await far.getByText("The box cannot be reached.").waitFor();
    await far.context().setOffline(false);
    await far.locator("#banner").waitFor({ state: "hidden" });
    await far.locator(".figure").first().waitFor();
});

/** Texts whose contrast to what is behind them is below WCAG's AA. Runs in the page. */
function contrasts() {
    const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const light = (rgb) => {
        const [r, g, b] = rgb.map((c) => (c / 255 <= 0.03928 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (element) => {
        const all = [];
        for (let at = element; at; at = at.parentElement) all.unshift(getComputedStyle(at).backgroundColor);
        context.fillStyle = "#fff";
        context.fillRect(0, 0, 1, 1);
        for (const colour of all) {
            context.fillStyle = colour;
            context.fillRect(0, 0, 1, 1);
        }
    };
    const pixel = () => [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
    return [...document.querySelectorAll("body *")]
        .filter((element) => element.checkVisibility() && !element.disabled && [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim()) && !element.closest("svg, .skip, .hidden, .frame, select"))
        .flatMap((element) => {
            behind(element);
            const ground = light(pixel());
            context.fillStyle = getComputedStyle(element).color;
            context.fillRect(0, 0, 1, 1);
            const text = light(pixel());
            const ratio = (Math.max(ground, text) + 0.05) / (Math.min(ground, text) + 0.05);
            return ratio < 4.5 ? [`${element.textContent.slice(0, 40)} ${ratio.toFixed(2)}`] : [];
        });
}
