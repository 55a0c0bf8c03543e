import { defineConfig } from "vite";

// What browsers demand before they give threads to WebAssembly.
const headers = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

export default defineConfig({
  base: "/",
  publicDir: "public",
  worker: { format: "es" },
  server: { headers },
  preview: { headers },
});
