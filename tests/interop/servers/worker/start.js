// A worker in workerd, the runtime that Cloudflare's own network runs it in: `wrangler dev --local`.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Seen } from '../../support/waiting.js';

const leash = new URL('../../support/leash.js', import.meta.url).href;
const wrangler = fileURLToPath(import.meta.resolve('wrangler'));

/** Neither news of a newer version, nor figures on its use, nor a file outside of `where`. */
const environment = (where) => ({
  PATH: process.env.PATH,
  HOME: where,
  XDG_CONFIG_HOME: where,
  TMPDIR: process.env.TMPDIR ?? tmpdir(),
  CI: '1',
  NO_COLOR: '1',
  FORCE_COLOR: '0',
  WRANGLER_HIDE_BANNER: 'true',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_SEND_ERROR_REPORTS: 'false',
  WRANGLER_LOG_PATH: join(where, 'logs'),
  WRANGLER_REGISTRY_PATH: join(where, 'registry'),
  WRANGLER_CACHE_DIR: join(where, 'cache'),
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
});

/** A wrangler command; `said` has each line of it and, last, how it ended. */
function run(where, ...args) {
  const config = join(where, 'wrangler.json');
  const child = spawn(process.execPath, ['--no-warnings', '--import', leash, wrangler, ...args, '--config', config], {
    cwd: where,
    env: environment(where),
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const said = new Seen();
  for (const pipe of [child.stdout, child.stderr]) createInterface(pipe).on('line', (line) => said.push(line));
  const gone = once(child, 'close').then(([code, signal]) => said.push(`ended with ${code ?? signal}`));
  return { child, said, gone };
}

/**
 * `main` is a file here. `kv` is what its namespace KEYS holds (values as JSON), `vars` the rest of
 * its environment.
 */
export async function startWorker(main, { kv = {}, vars = {} } = {}) {
  const where = mkdtempSync(join(tmpdir(), 'keyferry-worker-'));
  const remove = () => rmSync(where, { recursive: true, force: true, maxRetries: 3 });
  process.once('exit', remove);
  const config = {
    name: 'interop',
    main: fileURLToPath(new URL(main, import.meta.url)),
    compatibility_date: '2026-03-17',
    kv_namespaces: [{ binding: 'KEYS', id: 'keys' }],
    vars,
  };
  writeFileSync(join(where, 'wrangler.json'), JSON.stringify(config));
  const state = join(where, 'state');

  const entries = Object.entries(kv).map(([key, value]) => ({ key, value: JSON.stringify(value) }));
  if (entries.length) {
    writeFileSync(join(where, 'kv.json'), JSON.stringify(entries));
    const put = run(where, 'kv', 'bulk', 'put', 'kv.json', '--binding', 'KEYS', '--local', '--persist-to', state);
    const end = await put.said.first('KV is filled', (line) => line.startsWith('ended with '));
    if (end !== 'ended with 0') throw new Error(`KV was not filled: ${put.said.items.join('\n')}`);
  }

  const { child, said, gone } = run(
    where,
    ...['dev', '--local', '--ip', '127.0.0.1', '--port', '0', '--inspector-port', '0', '--persist-to', state],
    '--show-interactive-dev-session=false',
  );
  const line = await said.first('the worker is ready', (line) => /Ready on |^ended with /.test(line));
  const origin = /Ready on (http:\/\/127\.0\.0\.1:\d+)/.exec(line)?.[1];
  if (!origin) throw new Error(`wrangler did not start: ${said.items.join('\n')}`);

  return {
    origin,
    url: `${origin}/mcp`,
    said,
    /** Each request it answered so far: { method, path, status }. Its log is read up to a request of ours. */
    async requests() {
      const mark = `/until-${randomUUID()}`;
      await fetch(origin + mark);
      const until = await said.until('the request is logged', (lines) => lines.findIndex((line) => line.includes(mark)) + 1);
      return said.items.slice(0, until).flatMap((line) => {
        const [, method, path, status] = /\b([A-Z]+) (\/\S*) (\d{3}) /.exec(line) ?? [];
        return method && !path.startsWith('/until-') ? [{ method, path, status: Number(status) }] : [];
      });
    },
    async stop() {
      child.kill('SIGTERM'); // and workerd with it
      await gone;
      remove();
      process.off('exit', remove);
    },
  };
}
