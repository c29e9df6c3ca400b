// The Python client of the matrix, `client.py`: one process goes through all the features and says
// of each on a line of stdout what it saw.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { direct, home, launch } from '../support/bridge.js';
import { Seen } from '../support/waiting.js';

export const python = process.env.INTEROP_PYTHON;
if (!python) throw new Error('INTEROP_PYTHON must name a Python that has requirements.txt');

const program = fileURLToPath(new URL('client.py', import.meta.url));

export async function startPlayer(t, { mode }, { url, sse }, name, features) {
  const { command, args, env } = launch(home(), url);
  const server = direct ? { url, sse: Boolean(sse) } : { command, args };
  const what = JSON.stringify({ mode, server, name, features });
  const child = spawn(python, [program, what], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => (stderr += chunk));
  const said = new Seen();
  createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line)));
  const ended = once(child, 'close').then(([code]) => said.push({ ended: code }));
  t.after(async () => {
    const still = said.items.at(-1)?.ended === undefined && !features.every((one) => said.items.some(({ feature }) => feature === one));
    if (still) child.kill('SIGKILL');
    await ended;
    const { ended: code } = said.items.at(-1);
    if (code !== 0) console.error(`the Python client said on stderr, in "${t.name}":\n${stderr}`);
    assert.equal(code, 0, 'the Python client came to its end');
  });
  const of = (key, value) => (one) => one[key] === value || one.ended !== undefined;
  const { version } = await said.first('the Python client is connected', (one) => one.version || one.ended !== undefined);
  return {
    modern: version === '2026-07-28',
    async plays(feature) {
      const { seen, error, ended: code } = await said.first(`what Python saw of ${feature}`, of('feature', feature));
      assert.equal(error ?? code, undefined, stderr);
      return seen;
    },
  };
}
