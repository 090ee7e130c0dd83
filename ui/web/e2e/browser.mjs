// What the browser tests share: where the server is, a browser, a signed-in page that notices what goes wrong in it,
// and a proxy that can lose the connection.
import { mkdirSync } from "node:fs";
import net from "node:net";
import { chromium } from "playwright-core";

/** @param {string} name @param {string} [standard] @returns {string} */
function need(name, standard) {
  const value = process.env[name] ?? standard;
  if (value === undefined) {
    throw new Error(`${name} is not set. The browser tests need a running Keepwatch: KEEPWATCH_TEST_URL (as http://127.0.0.1:8080) and KEEPWATCH_TEST_PASSWORD of an administrator (KEEPWATCH_TEST_USER, default admin).`);
  }
  return value;
}

export const url = need("KEEPWATCH_TEST_URL").replace(/\/$/, "");
export const user = need("KEEPWATCH_TEST_USER", "admin");
export const password = need("KEEPWATCH_TEST_PASSWORD");

export function launch() {
  const executablePath = process.env.KEEPWATCH_TEST_CHROMIUM ?? "/usr/bin/chromium";
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/**
 * signedIn opens a context whose requests carry a session of the user.
 * @param {import("playwright-core").Browser} browser
 * @param {{ as?: { name: string, password: string }, base?: string, language?: string, options?: import("playwright-core").BrowserContextOptions }} [wish]
 */
export async function signedIn(browser, { as = { name: user, password }, base = url, language = "en", options = {} } = {}) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, baseURL: base, ...options });
  context.setDefaultTimeout(15_000);
  await context.addInitScript((spoken) => {
    if (!localStorage.getItem("keepwatch.language")) localStorage.setItem("keepwatch.language", spoken);
  }, language);
  const answer = await context.request.post("/api/v1/session", { data: as });
  if (!answer.ok()) throw new Error(`cannot sign in as ${as.name}: ${answer.status()} ${await answer.text()}`);
  return context;
}

/**
 * watch collects what a page must never do: errors in scripts, breaches of the content security policy, requests to
 * other servers.
 * @param {import("playwright-core").Page} page
 */
export function watch(page) {
  /** @type {string[]} */
  const faults = [];
  page.on("pageerror", (error) => faults.push(`error in the page: ${error.message}`));
  page.on("console", (message) => {
    if (/Content Security Policy/i.test(message.text())) faults.push(message.text());
  });
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol.startsWith("http") && to.hostname !== new URL(url).hostname) faults.push(`request to ${to.host}`);
  });
  return faults;
}

/**
 * Api speaks to the server as the signed-in user, to prepare and to clean up.
 * @param {import("playwright-core").BrowserContext} context
 */
export function api(context) {
  /** @param {"get"|"post"|"delete"} method @param {string} path @param {unknown} [data] */
  const call = async (method, path, data) => {
    const answer = await context.request[method](`/api/v1${path}`, data === undefined ? {} : { data });
    if (!answer.ok()) throw new Error(`${method} ${path}: ${answer.status()} ${await answer.text()}`);
    const text = await answer.text();
    return text === "" ? undefined : JSON.parse(text);
  };
  return {
    /** @param {string} path */
    get: (path) => call("get", path),
    /** @param {string} path @param {unknown} data */
    post: (path, data) => call("post", path, data),
    /** @param {string} path */
    remove: (path) => call("delete", path),
  };
}

/** A TCP proxy before the server whose connections can be cut and let through again. */
export async function cuttable() {
  const to = new URL(url);
  /** @type {Set<net.Socket>} */
  const open = new Set();
  let cut = false;
  const server = net.createServer((near) => {
    if (cut) {
      near.destroy();
      return;
    }
    const far = net.connect(Number(to.port || 80), to.hostname);
    for (const socket of [near, far]) {
      open.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => {
        open.delete(socket);
        near.destroy();
        far.destroy();
      });
    }
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", () => done(undefined)));
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    cut() {
      cut = true;
      for (const socket of open) socket.destroy();
    },
    heal() {
      cut = false;
    },
    close() {
      this.cut();
      server.close();
    },
  };
}

/**
 * pictureOnFailure runs a test on a page and keeps a picture of what it saw when it fails.
 * @param {import("playwright-core").Page} page @param {string} name @param {() => Promise<void>} body
 */
export async function pictureOnFailure(page, name, body) {
  try {
    await body();
  } catch (error) {
    mkdirSync("test-results", { recursive: true });
    await page.screenshot({ path: `test-results/${name.replace(/[^a-z0-9]+/gi, "-")}.png`, fullPage: true }).catch(() => undefined);
    throw error;
  }
}

export const pages = ["/", "/alerts", "/hosts", "/ha", "/events", "/thresholds", "/thresholds/new", "/contacts", "/contacts/new", "/users", "/users/new", "/audit", "/profile"];
