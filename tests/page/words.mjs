// Words are tried on the people of the moment before anything is saved; saving keeps the file's comments and is in effect.
import assert from "node:assert/strict";
import { open, shot, test, until, url, visit, written } from "./browser.mjs";

await test(async () => {
    const page = await open({ expected: [/status of 4(09|22|29)/] });
    await visit(page, "words");
    const walking = page.locator('fieldset[data-action="walking"]');
    const phrases = walking.getByLabel("Phrases, one to a line");
    await until("the phrases", async () => (await phrases.inputValue()) === "a person walking on a street\na person walking on the grass");
    const before = written();

    // The people are scored against the words as they stand here.
    const score = async () => Number(await page.locator('td[data-score="walking"]').first().textContent());
    await page.locator('td[data-score="walking"]').first().waitFor();
    await until("walking is likely", async () => (await score()) > 0.3);
    await phrases.fill("a yellow submarine under the sea");
    await until("it is no longer", async () => (await score()) < 0.2);
    await phrases.fill("a person walking on a street\na person on the lawn");
    await until("it is again", async () => (await score()) > 0.3);

    // The slider stands over the last hour's scores.
    await walking.locator('.histogram .bin:not([height="0"])').first().waitFor();
    assert.match(await walking.locator(".foot .hint").textContent(), /^About .* of .* scores/);
    await walking.getByLabel("Threshold", { exact: true }).focus();
    await page.keyboard.press("ArrowRight");
    await page.keyboard.press("ArrowRight");
    assert.equal(await walking.getByLabel("Threshold as a number").inputValue(), "0.32");
    await shot(page, "words");
    assert.equal(written(), before, "nothing was saved yet");

    // What is wrong is said at its place.
    await page.getByRole("button", { name: "Add an action" }).click();
    const added = page.locator("fieldset").last();
    await added.getByLabel("Action", { exact: true }).fill("running");
    await page.getByRole("button", { name: "Save" }).click();
    await added.locator(".problems li", { hasText: "phrases" }).waitFor();
    await shot(page, "words-problem");
    assert.equal(written(), before, "nothing wrong is saved");
    await added.getByLabel("Phrases, one to a line").fill("a person running");
    await page.getByRole("button", { name: "Save" }).click();
    await page.locator(".save .said", { hasText: "Saved" }).waitFor();

    const after = written();
    for (const comment of ["# chosen by the night shift", "# twice a day at most"]) assert.ok(after.includes(comment), after);
    assert.match(after, /"a person on the lawn"/);
    assert.match(after, /threshold = 0\.32/);
    assert.match(after, /name = "running"/);
    await page.reload();
    await until("the box watches for it", async () => (await (await page.request.get(`${url}api/v1/cameras`)).json()).some(({ actions }) => actions.includes("running")));
    await until("and so does the page", async () => (await page.locator("fieldset").count()) === 3);

    // An action that is removed is gone.
    await page.locator('fieldset[data-action="running"]').getByRole("button", { name: /^Remove/ }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await until("the file has it no more", () => !written().includes("running"));
});
