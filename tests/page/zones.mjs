// Zones and masks are drawn with the mouse and with the keyboard, reshaped, named, and are in the file once saved.
import assert from "node:assert/strict";
import { open, shot, test, until, visit, written } from "./browser.mjs";

await test(async () => {
    const page = await open();
    await visit(page, "zones?camera=gate");
    const stage = page.locator(".stage");
    await page.locator('.stage[data-state="live"]').waitFor();
    const at = async (x, y) => {
        const box = await stage.boundingBox();
        return [box.x + x * box.width, box.y + y * box.height];
    };

    await page.getByRole("button", { name: "New zone" }).click();
    for (const corner of [[0.2, 0.3], [0.7, 0.3], [0.7, 0.8], [0.2, 0.8], [0.2, 0.3]]) await page.mouse.click(...(await at(...corner)));
    const name = page.getByLabel("Name of zone 1");
    await name.fill("lawn");
    assert.equal(await page.locator(".outlines text.name").textContent(), "lawn");

    // A corner follows the mouse; the undo takes it back.
    const corner = page.getByRole("button", { name: "Corner 3 of 4" });
    const point = () => page.locator("polygon.zone").getAttribute("points");
    const square = await point();
    await page.mouse.move(...(await at(0.7, 0.8)));
    await page.mouse.down();
    await page.mouse.move(...(await at(0.9, 0.9)), { steps: 4 });
    await page.mouse.up();
    assert.notEqual(await point(), square);
    await page.getByRole("button", { name: "Undo" }).click();
    assert.equal(await point(), square);
    assert.equal(await name.inputValue(), "lawn");
    // So it does with the arrows.
    await corner.focus();
    await page.keyboard.press("Shift+ArrowRight");
    await page.keyboard.press("ArrowDown");
    assert.notEqual(await point(), square);

    // A mask with the keyboard alone: the cross begins in the middle.
    await page.getByRole("button", { name: "New mask" }).focus();
    await page.keyboard.press("Enter");
    await page.keyboard.press("Space");
    for (const key of ["Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowLeft"]) {
        await page.keyboard.press(key);
        await page.keyboard.press("Space");
    }
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Mask 1", exact: true }).first().waitFor();
    await shot(page, "zones");

    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".save .said", { hasText: "Saved" }).waitFor();
    const file = written();
    assert.match(file, /name = "lawn"/);
    assert.match(file, /\[\[camera\.mask\]\]|mask = /);
    assert.ok(file.includes("# chosen by the night shift"), file);

    // They are the box's own now: another visitor sees them, and events name the zone.
    const other = await open();
    await visit(other, "live?look=gate");
    await until("events are filtered by it", async () => (await other.locator("select[name=zone] option").allTextContents()).includes("lawn"));
    await visit(page, "health");
    await visit(page, "zones?camera=gate");
    await until("it is there when one comes back", async () => (await page.getByLabel("Name of zone 1").count()) === 1);
    await page.getByRole("button", { name: "Remove zone lawn" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await until("removed from the file", () => !written().includes('name = "lawn"'));
});
