// Who has no password sees nothing; who has it comes in, and goes.
import assert from "node:assert/strict";
import { open, password, shot, test, url, visit } from "./browser.mjs";

await test(async () => {
    const page = await open({ expected: [/status of (401|429)/] });
    await visit(page, "live");
    const field = page.getByLabel("Password of this box");
    await field.waitFor();
    assert.equal(await page.locator("nav").isVisible(), false);
    assert.equal((await page.request.get(`${url}api/v1/cameras/gate/picture`)).status(), 401);
    await field.fill("not it");
    await page.keyboard.press("Enter");
    await page.getByText("That is not the password.").waitFor();
    await shot(page, "login");
    await field.fill(password);
    await page.keyboard.press("Enter");
    await page.locator('figure[data-state="live"]').first().waitFor();
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, "Strict"]);
    assert.equal(await page.evaluate(() => document.cookie), "");
    await page.reload();
    await page.locator('figure[data-state="live"]').first().waitFor();

    await page.getByRole("button", { name: "Log out" }).click();
    await field.waitFor();
    assert.equal((await page.request.get(`${url}api/v1/cameras/gate/picture`)).status(), 401);
});
