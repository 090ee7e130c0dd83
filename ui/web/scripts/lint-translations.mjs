// Checks the translations: both languages have the same keys and the same placeholders, every key that the sources ask
// for is there, and none is there that nothing asks for.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const root = new URL("../src/", import.meta.url).pathname;

/** @param {string} name @returns {Record<string, string>} */
const read = (name) => JSON.parse(readFileSync(join(root, "i18n", name), "utf8"));

/** @param {string} folder @returns {string[]} */
function sources(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.tsx?$/.test(entry.name) && !/\.test\.tsx?$/.test(entry.name) ? [path] : [];
  });
}

const en = read("en.json");
const zh = read("zh.json");
/** @type {string[]} */
const faults = [];

const placeholders = (/** @type {string} */ text) => [...text.matchAll(/\{\{(\w+)\}\}/g)].map((m) => m[1]).sort().join(" ");
// English has a plural that Chinese lacks: key_one beside key_other there, key_other alone here.
const plural = /_(one|other)$/;
for (const key of new Set([...Object.keys(en), ...Object.keys(zh)])) {
  if (!(key in en)) faults.push(`${key}: missing in en.json`);
  else if (!(key in zh) && !key.endsWith("_one")) faults.push(`${key}: missing in zh.json`);
  else if (key in zh && placeholders(en[key] ?? "") !== placeholders(zh[key] ?? "")) faults.push(`${key}: placeholders differ between en.json and zh.json`);
}

const text = sources(root).map((path) => readFileSync(path, "utf8")).join("\n");
const literals = new Set([...text.matchAll(/"([a-zA-Z]+\.[\w.]+)"/g)].map((m) => m[1] ?? ""));
const patterns = [...text.matchAll(/`([a-zA-Z]+(?:\.|_)[^`]*\$\{[^`]*)`/g)].map((m) => {
  const parts = (m[1] ?? "").split(/\$\{[^}]*(?:\([^)]*\))*[^}]*\}/).map((part) => part.replace(/[.*+?^$()|[\]\\]/g, "\\$&"));
  return new RegExp(`^${parts.join("\\w+")}$`);
});
const known = new Set(Object.keys(en).map((key) => key.replace(plural, "")));
for (const [, key] of text.matchAll(/\bt\(\s*"([^"]+)"/g)) if (!known.has(key ?? "")) faults.push(`${key}: asked for, but in no language`);
for (const key of known) {
  if (!literals.has(key) && !patterns.some((pattern) => pattern.test(key))) faults.push(`${key}: nothing asks for it`);
}

if (faults.length > 0) {
  console.error([...new Set(faults)].sort().join("\n"));
  process.exit(1);
}
console.log(`translations: ${known.size} keys in 2 languages`);
