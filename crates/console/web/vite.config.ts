import { defineConfig } from "vitest/config";

export default defineConfig({
  esbuild: { jsx: "automatic" },
  build: {
    target: "es2022",
    // The map library alone is larger than the default; it is cached by its hash.
    chunkSizeWarningLimit: 1200,
    rollupOptions: { output: { manualChunks: { map: ["maplibre-gl"] } } },
  },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
  server: { proxy: { "/api": "http://127.0.0.1:8080", "/enter": "http://127.0.0.1:8080" } },
});
