// An MCP server in a Nuxt application; no page of it is built but the empty one Nuxt insists on.
export default defineNuxtConfig({
  modules: ['@nuxtjs/mcp-toolkit'],
  mcp: { name: 'nuxt' },
  compatibilityDate: '2026-03-01',
  ssr: false,
  pages: false,
  telemetry: false,
  devtools: { enabled: false },
  buildDir: process.env.NUXT_BUILD_DIR,
  nitro: {
    preset: 'node-listener',
    output: { dir: process.env.NUXT_OUTPUT_DIR },
    experimental: { asyncContext: true },
  },
});
