// The Nuxt application here, built and started as on a host of one's own.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Seen } from '../../support/waiting.js';

const BUILD_MS = 180_000; // 12 s on two idle cores

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const nuxt = here('../../node_modules/nuxt/bin/nuxt.mjs');
const leash = new URL('../../support/leash.js', import.meta.url).href;

/** A Node.js program; `said` has each line of it and, last, how it ended. */
function run(args, env = {}) {
  const child = spawn(process.execPath, ['--import', leash, ...args], {
    env: { PATH: process.env.PATH, NO_COLOR: '1', CI: '1', NODE_ENV: 'production', NUXT_TELEMETRY_DISABLED: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const said = new Seen();
  for (const pipe of [child.stdout, child.stderr]) createInterface(pipe).on('line', (line) => said.push(line));
  const gone = once(child, 'close').then(([code, signal]) => said.push(`ended with ${code ?? signal}`));
  return { child, said, gone };
}

export async function startNuxt() {
  // Beside node_modules, where what is generated finds its imports.
  const cache = here('../../.cache');
  mkdirSync(cache, { recursive: true });
  const where = mkdtempSync(join(cache, 'nuxt-'));
  const remove = () => rmSync(where, { recursive: true, force: true, maxRetries: 3 });
  process.once('exit', remove);

  const output = join(where, 'output');
  const build = run([nuxt, 'build', here('.')], { HOME: where, NUXT_BUILD_DIR: join(where, 'build'), NUXT_OUTPUT_DIR: output });
  const end = await build.said.first('Nuxt is built', (line) => line.startsWith('ended with '), BUILD_MS).finally(() => build.child.kill('SIGKILL'));
  if (end !== 'ended with 0') throw new Error(`Nuxt was not built: ${build.said.items.join('\n')}`);

  const { child, said, gone } = run([here('serve.js'), pathToFileURL(join(output, 'server/index.mjs')).href], { HOME: where });
  const line = await said.first('the application listens', (line) => /^listening on |^ended with /.test(line));
  const port = /^listening on .*:(\d+)$/.exec(line)?.[1];
  if (!port) throw new Error(`the application did not start: ${said.items.join('\n')}`);
  const origin = `http://127.0.0.1:${port}`;

  /** A request to Better Auth, as its pages would send it. */
  async function ask(path, body, cookie = '') {
    const response = await fetch(`${origin}/api/auth${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', origin: 'http://127.0.0.1', cookie },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response;
  }

  return {
    origin,
    url: `${origin}/mcp`,
    said,
    /** Each request it answered so far: { method, path, status }. Its log is read up to a request of ours. */
    async requests() {
      const mark = `/until-${randomUUID()}`;
      await (await fetch(origin + mark)).text();
      const until = await said.until('the request is logged', (lines) => lines.findIndex((line) => line.includes(mark)) + 1);
      return said.items.slice(0, until).flatMap((line) => {
        const [, method, path, status] = /^answered (\S+) (\S+) (\d+)$/.exec(line) ?? [];
        return method && !path.startsWith('/until-') ? [{ method, path, status: Number(status) }] : [];
      });
    },
    /** Signs someone up: their API key, and a way to take it back. */
    async member(name) {
      const signedUp = await ask('/sign-up/email', { name, email: `${name}@example.test`, password: 'correct horse battery' });
      const cookie = signedUp.headers.getSetCookie().map((line) => line.split(';')[0]).join('; ');
      const { id, key } = await (await ask('/api-key/create', { name: 'for keyferry' }, cookie)).json();
      return { key, revoke: () => ask('/api-key/delete', { keyId: id }, cookie) };
    },
    async stop() {
      child.kill('SIGKILL');
      await gone;
      remove();
      process.off('exit', remove);
    },
  };
}
