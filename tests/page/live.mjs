// Live pictures with people in them; the timeline fills and is filtered; an event opens with its scores.
import assert from "node:assert/strict";
import { open, shot, test, until, visit } from "./browser.mjs";

/** The picture's pixels in short, to see whether they change. */
const drawn = (page) => page.locator("canvas.picture").first().evaluate((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let amber = 0;
    for (let k = 0; k < data.length; k += 4) amber += data[k] === 255 && data[k + 1] === 178 && data[k + 2] === 36;
    return { pixels: canvas.width * canvas.height, amber };
});

await test(async () => {
    const page = await open();
    await visit(page, "live");
    await page.locator("figure.camera").nth(1).waitFor();
    assert.deepEqual(await page.locator(".tabs button").allTextContents(), ["All", "gate", "yard"]);
    await page.getByRole("button", { name: "gate", exact: true }).click();
    await page.locator('figure[data-camera="gate"][data-state="live"]').waitFor();
    assert.equal(await page.locator("figure.camera").count(), 1);

    // Who walks is over the threshold, so a box and a label are amber; without boxes nothing is.
    await until("somebody's box", async () => (await drawn(page)).amber > 200);
    await page.locator(".people .likely.over").first().waitFor();
    assert.match(await page.locator(".people li").first().textContent(), /#\d+.*(walking|cycling)/);
    await shot(page, "live");
    await page.getByLabel("Boxes").uncheck();
    await until("no box", async () => (await drawn(page)).amber === 0);
    await page.getByLabel("Boxes").check();

    // An event arrives by itself, is told to those who listen, and ends.
    await page.locator(".event").first().waitFor();
    await until("a screen reader is told", async () => /walking, camera (gate|yard)/.test(await page.locator("#announcer").textContent()));
    await page.locator(".event:not(.open)").first().waitFor();

    // The filter is asked of the box and stands in the address.
    const answered = page.waitForResponse((answer) => answer.url().includes("action=cycling"));
    await page.getByLabel("Action").selectOption("cycling");
    await answered;
    await page.getByText("No event matches.").waitFor();
    await until("the address has the filter", () => /action=cycling/.test(page.url()));
    await page.getByLabel("Action").selectOption("walking");
    await page.getByLabel("Time").selectOption("1h");
    await page.locator("select[name=camera]").selectOption("gate");
    await until("events of the gate alone", async () => {
        const where = await page.locator(".event .where").allTextContents();
        return where.length > 0 && where.every((text) => text.startsWith("gate"));
    });
    await page.reload();
    await until("the filter outlives a reload", async () => (await page.getByLabel("Action").inputValue()) === "walking");
    await page.getByLabel("Time").selectOption("range");
    await page.getByLabel("To", { exact: true }).fill("2001-01-01T00:00");
    await page.getByText("No event matches.").waitFor();
    await page.getByRole("button", { name: "Clear" }).click();

    const event = page.locator(".event:not(.open)").first();
    await event.click();
    const dialog = page.getByRole("dialog", { name: "walking" });
    await dialog.waitFor();
    await dialog.locator("svg.plot").waitFor();
    assert.match(await dialog.locator("svg.plot path.line").getAttribute("d"), /^M.*L/);
    assert.match(await dialog.locator("svg.plot").getAttribute("aria-label"), /Score of walking over time; highest 0\.\d\d/);
    await dialog.locator("img").waitFor();
    await until("its picture", () => dialog.locator("img").evaluate((image) => image.naturalWidth > 0));
    await shot(page, "event");
    await page.keyboard.press("Escape");
    await dialog.waitFor({ state: "hidden" });
    await until("its address is gone, too", () => !/event=/.test(page.url()));
});
