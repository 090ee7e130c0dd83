// Walks through the app in a real browser against a running server.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, cuttable, launch, password, pictureOnFailure, signedIn, url, user, watch } from "./browser.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/**
 * walk gives a test a signed-in page and checks at its end that nothing went wrong in it.
 * @param {string} name
 * @param {(page: import("playwright-core").Page, server: ReturnType<typeof api>) => Promise<void>} body
 * @param {Parameters<typeof signedIn>[1]} [wish]
 */
function walk(name, body, wish) {
  test(name, { timeout: 120_000 }, async () => {
    const context = await signedIn(browser, wish);
    const page = await context.newPage();
    const faults = watch(page);
    try {
      await pictureOnFailure(page, name, () => body(page, api(context)));
      assert.deepEqual(faults, []);
    } finally {
      await context.close();
    }
  });
}

/** @param {import("playwright-core").Page} page @param {string | RegExp} name */
const heading = (page, name) => page.getByRole("heading", { level: 1, name }).waitFor();

const unique = (/** @type {string} */ name) => `${name} ${process.pid}-${Date.now() % 100_000}`;

test("signing in: a wrong password is told, the right one leads where one wanted to go", async () => {
  const context = await browser.newContext({ baseURL: url, locale: "en" });
  const page = await context.newPage();
  await pictureOnFailure(page, "sign in", async () => {
    await page.goto("/hosts");
    await page.getByLabel("User name").fill(user);
    await page.getByLabel("Password", { exact: true }).fill("not the password");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("alert").getByText("User name or password is wrong").waitFor();
    await page.getByLabel("Password", { exact: true }).fill(password);
    await page.keyboard.press("Enter");
    await heading(page, "Hosts");
    assert.equal(new URL(page.url()).pathname, "/hosts");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByLabel("User name").waitFor();
  });
  await context.close();
});

walk("the overview says how things are and how new that is", async (page) => {
  await page.goto("/");
  await page.locator(".kw-verdict").waitFor();
  await page.getByText(/newest sample (now|\d+ s ago)/).waitFor();
});

walk("keys lead everywhere, and help lists them", async (page) => {
  await page.goto("/");
  await heading(page, "Overview");
  const ways = { a: "Alerts", h: "Hosts", t: "Thresholds", f: "Failover", e: "Events", c: "Contacts", u: "Users", l: "Audit", o: "Overview" };
  for (const [key, name] of Object.entries(ways)) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await heading(page, name);
  }
  await page.keyboard.press("?");
  await page.getByRole("dialog", { name: "Keyboard" }).waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
});

walk("search finds a host; its charts draw, zoom by dragging and go back", async (page, server) => {
  const { items } = await server.get("/hosts");
  assert.ok(items.length > 0, "the server has no host: start Keepwatch with its host probe on");
  const { name, cluster } = items[0];
  await page.goto("/");
  await heading(page, "Overview");
  await page.keyboard.press("/");
  await page.getByRole("combobox").fill(name);
  await page.getByRole("option", { name: new RegExp(`Host.*${name}`) }).first().waitFor();
  await page.keyboard.press("Enter");
  await heading(page, new RegExp(name));
  assert.equal(new URL(page.url()).pathname, `/hosts/${encodeURIComponent(cluster)}/${encodeURIComponent(name)}`);

  await page.getByText("15 m", { exact: true }).click();
  await page.waitForURL(/range=15m/);
  const chart = page.getByRole("img", { name: /CPU usage by mode: .*\d/ }).locator(".u-over");
  await chart.waitFor();
  const box = await chart.boundingBox();
  assert.ok(box);
  await page.mouse.move(box.x + box.width * 0.3, box.y + 40);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 40, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL(/from=.*to=/);
  await page.getByRole("img", { name: /CPU usage by mode/ }).locator(".u-over").dblclick();
  await page.waitForURL(/range=15m/);
});

walk("hosts: ten thousand rows, few of them drawn, filtered and sorted by typing and clicking", async (page) => {
  const hosts = Array.from({ length: 10_000 }, (_, i) => ({
    cluster: i % 2 ? "web" : "db", name: `host-${String(i).padStart(5, "0")}`, up: i !== 7, last_seen: new Date().toISOString(),
    problems: { critical: 0, warning: 0, unknown: 0 }, cpu_busy: i / 10_000, memory_used: 0.5, load1: 1, cpus: 4, disk_used: 0.5, sources: ["keepwatch"],
  }));
  await page.route("**/api/v1/hosts", (route) => route.fulfill({ json: { items: hosts } }));
  await page.goto("/hosts");
  const rows = page.locator(".kw-body [role=row]");
  await rows.first().waitFor();
  assert.ok((await rows.count()) < 100);
  await page.getByText("10000 of 10000").waitFor();
  await page.getByPlaceholder(/Filter/).fill("cluster:web cpu>99.9");
  await page.getByText("5 of 10000").waitFor();
  await page.waitForURL(/q=cluster/);
  await page.getByRole("columnheader", { name: "CPU", exact: true }).getByRole("button").click();
  await page.getByRole("columnheader", { name: "CPU", exact: true }).getByRole("button").click();
  await page.waitForURL(/sort=-cpu/);
  await page.mouse.move(0, 0);
  await rows.first().getByText("host-09999").waitFor();
  await page.getByPlaceholder(/Filter/).fill("clutser:web");
  await page.getByText("no such field").waitFor();
  await page.getByPlaceholder(/Filter/).fill("state:down");
  await rows.getByText("host-00007").waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.waitForURL(/row=/);
  await page.locator("[aria-selected=true]").waitFor();
});

walk("an alert comes up by itself, is acknowledged by keyboard, given back, and ends with its threshold", async (page, server) => {
  const name = unique("always alarming");
  await page.goto("/alerts");
  await heading(page, "Alerts");
  // No value of a load lies outside of this range: inside alarms.
  const rule = await server.post("/thresholds", {
    name, metric: "node_load1", hosts: "*", labels: {}, transform: "value", warning: "", critical: "@0:1000000", for_seconds: 0,
    clear_seconds: 0, no_data: false, description: "made by a test", enabled: true, contacts: [],
  });
  try {
    const row = page.getByRole("row").filter({ hasText: name }).first();
    await row.waitFor({ timeout: 60_000 });
    await page.goto(`/alerts?q=${encodeURIComponent(`"${name}"`)}`);
    await row.waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("a");
    await page.getByLabel("Comment for the others").fill("looking into it");
    await page.getByRole("dialog").getByRole("button", { name: "Acknowledge" }).click();
    await row.getByText(user).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await row.getByRole("button", { name: "Acknowledge" }).waitFor();
    await page.keyboard.press("Enter");
    await heading(page, new RegExp(name));
    await page.getByText("made by a test").waitFor();
    await page.getByRole("heading", { name: "What else happened" }).waitFor();
    await page.getByRole("img", { name: /node_load1: .*\d/ }).waitFor();
  } finally {
    await server.remove(`/thresholds/${rule.id}`);
  }
  await page.goto(`/alerts?q=${encodeURIComponent(`"${name}"`)}`);
  await page.getByText(/Nothing (is alarming|matches)/).waitFor();
});

walk("a threshold is made with its chart in sight, switched off and on again, and deleted", async (page, server) => {
  const name = unique("test load");
  await page.goto("/thresholds");
  await page.getByRole("link", { name: "New threshold" }).first().click();
  await heading(page, "New threshold");
  await page.getByRole("button", { name: "Create threshold" }).click();
  await page.getByText("Needed.").first().waitFor();
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByRole("combobox", { name: "Metric" }).fill("node_load1");
  await page.getByRole("option", { name: "node_load1", exact: true }).click();
  await page.getByRole("img", { name: /node_load1/ }).waitFor();
  await page.getByText("would have fired in 24 h").waitFor();
  await page.getByLabel("Critical").fill("9o");
  await page.getByLabel("Warning").fill("900");
  await page.getByText("Not a range").waitFor();
  await page.getByLabel("Critical").fill("1000");
  await page.getByRole("button", { name: "Create threshold" }).click();
  await heading(page, "Thresholds");
  try {
    const row = page.getByRole("row").filter({ hasText: name });
    await row.getByText("Off").or(row.getByText("On")).first().waitFor();
    await row.locator("label", { hasText: "On" }).click();
    await page.getByText(`${name} is off`).waitFor();
    await page.getByRole("button", { name: "Undo" }).click();
    await row.getByText("On", { exact: true }).waitFor();

    await page.goto("/thresholds/new?metric=node_load1");
    await page.getByLabel("Name", { exact: true }).fill(name);
    await page.getByLabel("Critical").fill("5");
    await page.getByRole("button", { name: "Create threshold" }).click();
    // The server's own word stands beside the field, and what was typed is still there.
    await page.locator(".mantine-TextInput-root", { has: page.getByLabel("Name", { exact: true }) }).locator(".mantine-InputWrapper-error").waitFor();
    assert.equal(await page.getByLabel("Critical").inputValue(), "5");

    await page.goto("/thresholds");
    await page.getByRole("link", { name, exact: true }).click();
    await heading(page, name);
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await heading(page, "Thresholds");
    await row.waitFor({ state: "detached" });
  } finally {
    const { items } = await server.get("/thresholds");
    for (const rule of items) if (rule.name === name) await server.remove(`/thresholds/${rule.id}`);
  }
});

walk("a contact is checked while typed, saved, tested and deleted", async (page, server) => {
  const name = unique("Test Contact");
  await page.goto("/contacts/new");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Mail address").fill("not an address");
  await page.getByLabel("Phone number for SMS").fill("0138");
  await page.getByRole("button", { name: "Create contact" }).click();
  await page.getByText("This is not a mail address.").waitFor();
  await page.getByText("Write it with + and country code").waitFor();
  await page.getByLabel("Mail address").fill("test@example.invalid");
  await page.getByLabel("Phone number for SMS").fill("");
  await page.getByRole("button", { name: "Create contact" }).click();
  await heading(page, name);
  try {
    const button = page.getByRole("button", { name: "Send test mail" });
    await button.waitFor();
    const { mail } = await server.get("/channels");
    // Either it goes its way until its end is known, or it is said why it cannot.
    if (mail.configured) {
      await button.click();
      await page.getByText(/Queued|Sending|Sent|Failed/).first().waitFor();
    } else {
      assert.ok(await button.isDisabled());
      await page.getByText(mail.why).first().waitFor();
    }
    await page.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await heading(page, "Contacts");
    await page.getByRole("row").filter({ hasText: name }).waitFor({ state: "detached" });
  } finally {
    const { items } = await server.get("/contacts");
    for (const contact of items) if (contact.name === name) await server.remove(`/contacts/${contact.id}`);
  }
});

walk("a viewer sees everything and is offered no change", async (_, server) => {
  const viewer = { name: `viewer-${process.pid}`, password: "only-looking-around" };
  const made = await server.post("/users", { ...viewer, full_name: "Test Viewer", role: "viewer" });
  const context = await signedIn(browser, { as: viewer });
  try {
    const other = await context.newPage();
    for (const path of ["/", "/alerts", "/thresholds", "/contacts"]) {
      await other.goto(path);
      await other.locator("h1").waitFor();
      assert.equal(await other.getByRole("link", { name: /^New / }).count(), 0, path);
      assert.equal(await other.getByRole("button", { name: "Acknowledge" }).count(), 0, path);
    }
    assert.equal(await other.getByRole("link", { name: "Users" }).count(), 0);
    await other.goto("/users");
    await other.getByText("Only administrators see this page.").waitFor();
  } finally {
    await context.close();
    await server.remove(`/users/${made.id}`);
  }
});

walk("language and theme change at once and stay", async (page) => {
  await page.goto("/");
  await heading(page, "Overview");
  await page.getByRole("button", { name: "中文" }).click();
  await heading(page, "总览");
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-CN");
  await page.getByRole("button", { name: /主题/ }).click();
  await page.getByRole("button", { name: /主题：浅色/ }).click();
  await page.getByRole("button", { name: /主题：深色/ }).waitFor();
  assert.equal(await page.locator("html").getAttribute("data-mantine-color-scheme"), "dark");
  await page.reload();
  await heading(page, "总览");
  assert.equal(await page.locator("html").getAttribute("data-mantine-color-scheme"), "dark");
});

test("a lost connection is told within five seconds and heals by itself", { timeout: 60_000 }, async () => {
  const between = await cuttable();
  const context = await signedIn(browser, { base: between.url });
  const page = await context.newPage();
  try {
    await pictureOnFailure(page, "lost connection", async () => {
      await page.goto("/");
      await heading(page, "Overview");
      await page.locator(".kw-verdict").waitFor();
      between.cut();
      await page.getByText("Connection lost").waitFor({ timeout: 5_000 });
      // What was known stays on the page.
      assert.ok(await page.locator(".kw-verdict").isVisible());
      between.heal();
      await page.getByText("Connection lost").waitFor({ state: "detached", timeout: 10_000 });
    });
  } finally {
    await context.close();
    between.close();
  }
});
