// The numbers of a running box, as they change; a camera is paused and goes on.
import assert from "node:assert/strict";
import { open, shot, test, until, visit } from "./browser.mjs";

await test(async () => {
    const page = await open();
    await visit(page, "health");
    const analysed = async () => Number((await page.locator('tr[data-camera="gate"] [data-counter="analysed"]').textContent()).replaceAll("\u2009", ""));
    await page.locator('tr[data-camera="gate"]').waitFor();
    const before = await analysed();
    await until("more frames are analysed", async () => (await analysed()) > before);
    const figure = (name) => page.getByRole("region", { name, exact: true }).locator(".figure");
    assert.match(await figure("Broker").textContent(), /^(Connected|Not connected)$/);
    assert.match(await figure("Model pack").textContent(), /nano/);
    await until("a rate", async () => parseFloat(await figure("Frames analysed").textContent()) > 0);
    await until("a latency", async () => /^\d+ ms$/.test(await figure("Latency, 95 %").textContent()));
    assert.match(await figure("Memory").textContent(), /^\d+(\.\d)? MiB$/);
    await page.locator(".bars tr").nth(2).waitFor();
    await page.getByRole("region", { name: "Frames analysed" }).locator("svg.series path.line").waitFor();
    await shot(page, "health");

    await page.getByRole("button", { name: "Pause gate" }).click();
    await page.getByRole("button", { name: "Resume gate" }).waitFor();
    await page.getByRole("button", { name: "Resume gate" }).click();
    await page.getByRole("button", { name: "Pause gate" }).waitFor();
});
