// Takes a picture of every page in every size, theme and language: npm run shots -- OUTDIR
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { api, launch, pages, signedIn, url } from "./browser.mjs";

const out = process.argv[2] ?? "";
if (out === "") {
  console.error("usage: npm run shots -- OUTDIR");
  process.exit(2);
}
mkdirSync(out, { recursive: true });

const browser = await launch();

/** @param {import("playwright-core").BrowserContext} context */
async function details(context) {
  const server = api(context);
  const [hosts, alerts, thresholds, contacts, metrics] = await Promise.all(
    ["/hosts", "/alerts?state=all&limit=1", "/thresholds", "/contacts", "/metrics"].map((path) => server.get(path)),
  );
  const paths = [];
  if (hosts.items[0]) paths.push(`/hosts/${hosts.items[0].cluster}/${hosts.items[0].name}`);
  if (alerts.items[0]) paths.push(`/alerts/${alerts.items[0].id}`);
  if (thresholds.items[0]) paths.push(`/thresholds/${thresholds.items[0].id}`);
  if (contacts.items[0]) paths.push(`/contacts/${contacts.items[0].id}`);
  if (metrics.items[0]) paths.push(`/metrics/${metrics.items[0].name}`);
  return paths;
}

/**
 * shoot scrolls once through the page, so that charts below the fold have asked for their data.
 * @param {import("playwright-core").Page} page @param {string} path @param {string} name
 */
async function shoot(page, path, name) {
  await page.goto(path);
  await page.locator("h1").waitFor();
  await page.locator("[aria-busy]").waitFor({ state: "detached" });
  for (let i = 0; i < 12; i++) {
    const more = await page.evaluate(() => {
      window.scrollBy(0, window.innerHeight * 0.8);
      return window.scrollY + window.innerHeight < document.documentElement.scrollHeight - 2;
    });
    await page.waitForTimeout(150);
    if (!more) break;
  }
  await page.locator("[data-waiting]").first().waitFor({ state: "detached", timeout: 5_000 }).catch(() => undefined);
  await page.evaluate(() => window.scrollTo(0, 0));
  await page.waitForTimeout(250);
  await page.screenshot({ path: join(out, `${name}.png`), fullPage: true });
}

let taken = 0;
for (const width of [360, 768, 1440]) {
  for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
    for (const language of ["en", "zh"]) {
      const options = { viewport: { width, height: width < 720 ? 760 : 900 }, colorScheme, hasTouch: width < 720 };
      const suffix = `${width}-${colorScheme}-${language}`;
      const context = await signedIn(browser, { language, options });
      const page = await context.newPage();
      for (const path of [...pages, ...(await details(context))]) {
        const name = path === "/" ? "overview" : path.slice(1).replace(/[^a-z0-9]+/gi, "-");
        await shoot(page, path, `${name}-${suffix}`);
        taken++;
      }
      await context.close();
      const stranger = await browser.newContext({ baseURL: url, locale: language === "zh" ? "zh-CN" : "en", ...options });
      const door = await stranger.newPage();
      await shoot(door, "/", `sign-in-${suffix}`);
      taken++;
      await stranger.close();
    }
  }
}
await browser.close();
console.log(`${taken} pictures in ${out}`);
