import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// Where `npm run dev` finds the API.
const target = process.env.KEEPWATCH_TEST_URL ?? "http://127.0.0.1:8080";
// The host name stays the browser's: the server refuses what seems to come from another site's page.
const proxied = { target, changeOrigin: false };

// Libraries change seldom and the app often: one chunk each for the framework, the kit and the charts keeps most of a
// release in the reader's cache.
const vendors: [string, RegExp][] = [
  ["react", /node_modules\/(react|react-dom|react-router|scheduler)\//],
  ["kit", /node_modules\/(@mantine|@floating-ui|react-remove-scroll|react-number-format|clsx|tabbable)/],
  ["data", /node_modules\/(@tanstack|i18next|react-i18next|use-sync-external-store)/],
  ["charts", /node_modules\/uplot\//],
];

export default defineConfig({
  plugins: [react()],
  build: {
    // The content security policy allows nothing but our own files: no data: URLs.
    assetsInlineLimit: 0,
    rolldownOptions: {
      output: {
        codeSplitting: { groups: vendors.map(([name, test]) => ({ name, test })) },
      },
    },
  },
  server: { proxy: { "/api": proxied, "/prometheus": proxied } },
  test: { include: ["src/**/*.test.ts"] },
} as Parameters<typeof defineConfig>[0]);
