// Every page in every size and theme: nothing sticks out sideways, and axe finds no barrier.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { api, launch, pages, pictureOnFailure, signedIn, watch } from "./browser.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** @param {import("playwright-core").Page} page @param {string} path */
async function open(page, path) {
  await page.goto(path);
  await page.locator("h1").waitFor();
  await page.locator("[aria-busy]").waitFor({ state: "detached" });
}

for (const width of [360, 768, 1440, 2560]) {
  for (const language of ["en", "zh"]) {
    test(`${width} px, ${language}: nothing sticks out`, { timeout: 120_000 }, async () => {
      const context = await signedIn(browser, { language, options: { viewport: { width, height: 900 } } });
      const page = await context.newPage();
      const faults = watch(page);
      const { items } = await api(context).get("/hosts");
      const host = items[0];
      for (const path of [...pages, ...(host ? [`/hosts/${host.cluster}/${host.name}`] : [])]) {
        await pictureOnFailure(page, `${width} ${language} ${path}`, async () => {
          await open(page, path);
          const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.equal(over, 0, `${path} is ${over} px too wide`);
        });
      }
      assert.deepEqual(faults, []);
      await context.close();
    });
  }
}

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`${colorScheme}: axe finds no barrier`, { timeout: 120_000 }, async () => {
    const context = await signedIn(browser, { options: { colorScheme } });
    const page = await context.newPage();
    const { items } = await api(context).get("/hosts");
    const host = items[0];
    for (const path of [...pages, ...(host ? [`/hosts/${host.cluster}/${host.name}`] : [])]) {
      await open(page, path);
      // Through the debugger, past the content security policy that lets the page load no such script.
      await page.evaluate(axe);
      const found = await page.evaluate(async () => {
        const result = await /** @type {any} */ (window).axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] });
        return result.violations.map((/** @type {any} */ v) => `${v.id}: ${v.nodes.slice(0, 3).map((/** @type {any} */ n) => `${n.target} ${n.any[0]?.message ?? ""}`).join(" | ")}`);
      });
      assert.deepEqual(found, [], path);
    }
    await context.close();
  });
}
