// What the browser keeps between visits: small, optional, and forgotten at sign-out where it is about the installation.

const prefix = "keepwatch.";
const seen = `${prefix}seen.`;

export function readSetting(name: string): string | null {
  try {
    return localStorage.getItem(prefix + name);
  } catch {
    return null; // storage can be forbidden
  }
}

export function writeSetting(name: string, value: string) {
  try {
    localStorage.setItem(prefix + name, value);
  } catch {
    // Then the setting lasts as long as the page.
  }
}

export function remember(name: string, value: unknown) {
  try {
    localStorage.setItem(seen + name, JSON.stringify(value));
  } catch {
    // A full or forbidden storage costs the quick first paint only.
  }
}

export function recall<T>(name: string): T | undefined {
  try {
    const text = localStorage.getItem(seen + name);
    return text === null ? undefined : (JSON.parse(text) as T);
  } catch {
    return undefined;
  }
}

// forget removes all that was seen of the installation.
export function forget() {
  try {
    for (const key of Object.keys(localStorage)) if (key.startsWith(seen)) localStorage.removeItem(key);
  } catch {
    // Nothing was kept then.
  }
}
