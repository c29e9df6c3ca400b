// The official Python SDK client, keyferry, and a server of each era.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { startEverything } from './servers/everything.js';
import { startModern } from './servers/modern.js';
import { direct, home, launch } from './support/bridge.js';

const limit = { timeout: 60_000 };
const python = process.env.INTEROP_PYTHON;
if (!python) throw new Error('INTEROP_PYTHON must name a Python that has requirements.txt');

let everything, modern;
before(async () => ([everything, modern] = await Promise.all([startEverything(), startModern()])));
after(() => Promise.all([everything, modern].map((server) => server?.stop())));

async function look(mode, url) {
  const { command, args, env } = launch(home(), url);
  const how = direct ? [url] : [command, ...args];
  const program = fileURLToPath(new URL('client.py', import.meta.url));
  const ended = promisify(execFile)(python, [program, mode, ...how], { env, timeout: 50_000 });
  const { stdout } = await ended.catch(({ message }) => assert.fail(message));
  return JSON.parse(stdout);
}

for (const mode of ['legacy', 'auto']) {
  test(`a Python client in mode "${mode}" works with a legacy server`, limit, async () => {
    const seen = await look(mode, everything.url);
    // Behind keyferry a legacy server is a modern one for who would have it so.
    assert.equal(seen.version, mode === 'auto' && !direct ? '2026-07-28' : '2025-11-25');
    assert.equal(seen.server, 'mcp-servers/everything');
    assert.ok(seen.tools.includes('get-sum'), String(seen.tools));
    assert.ok(seen.prompts.includes('simple-prompt'), String(seen.prompts));
    assert.deepEqual(seen.echoes, ['Echo: Grüße 👋']);
    await everything.noSessionLeft();
  });
}

test('a Python client in mode "auto" is modern with a modern server', limit, async () => {
  const seen = await look('auto', modern.url);
  assert.equal(seen.version, '2026-07-28');
  assert.equal(seen.server, 'modern');
  assert.ok(seen.tools.includes('echo') && !seen.tools.includes('misdeclared'), String(seen.tools));
  assert.deepEqual(seen.prompts, ['grüße 👋']);
  assert.deepEqual(seen.echoes, ['Grüße 👋']);
});
