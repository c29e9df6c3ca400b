// The keyferry under test: KEYFERRY_BIN names the executable. With DIRECT=1 the SDK clients talk
// HTTP to the servers instead, which shows that a case holds without a bridge in between.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { DEADLINE_MS, within } from './waiting.js';

export const direct = process.env.DIRECT === '1';
/** For a case that is about the bridge's own process. */
export const bridgeOnly = direct ? { skip: 'about the bridge itself' } : {};

const executable = process.env.KEYFERRY_BIN && resolve(process.env.KEYFERRY_BIN);
if (!executable && !direct) throw new Error('KEYFERRY_BIN must name the keyferry executable (or set DIRECT=1)');

const homes = [];
process.on('exit', () => homes.forEach((path) => rmSync(path, { recursive: true, force: true })));

/** An empty home directory, the keyferry home within. */
export function home() {
  const path = mkdtempSync(join(tmpdir(), 'keyferry-interop-'));
  homes.push(path);
  return path;
}

function environment(home) {
  return {
    PATH: process.env.PATH,
    HOME: home,
    KEYFERRY_HOME: join(home, 'keyferry'),
    KEYFERRY_VAULT: 'plaintext',
    BROWSER: 'false', // no page is opened on the machine of who runs this
    ...(process.env.KEYFERRY_LOG && { KEYFERRY_LOG: process.env.KEYFERRY_LOG }),
  };
}

/** What a client's configuration would say: command, args, env. */
export function launch(home, ...args) {
  return { command: executable, args, env: environment(home) };
}

/** One keyferry command, run to its end. `watch` is called with all of stderr whenever there is more. */
export async function keyferry(home, args, { stdin = '', env = {}, watch = () => {} } = {}) {
  const { command, env: common } = launch(home);
  const child = spawn(command, args, { env: { ...common, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.on('error', () => {}); // it may end without reading
  child.stdin.end(stdin);
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk) => watch((stderr += chunk)));
  const ended = Promise.all([once(child, 'close'), text(child.stdout)]);
  try {
    const [[code], stdout] = await within(DEADLINE_MS, `keyferry ${args[0]} ends`, ended);
    return { code, stdout, stderr };
  } finally {
    child.kill('SIGKILL');
  }
}
