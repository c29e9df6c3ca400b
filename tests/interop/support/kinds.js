// What holds for every kind of credential, whatever the server behind it: the right identity, errors
// that name the cause and the remote in time, and no secret where others can read it.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { keyferry } from './bridge.js';
import { connect } from './clients.js';
import { call } from './people.js';
import { DEADLINE_MS, within } from './waiting.js';

const TOLD_WITHIN_MS = 10_000;
const NOTHING = () => [];

export function holdsNone(secrets, text, what) {
  assert.deepEqual(secrets.filter((secret) => text.includes(secret)), [], `no secret in ${what}`);
}

/** The command lines of this process and of all that it started; empty where there is no /proc. */
export function commandLines(pid) {
  let processes;
  try {
    processes = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  } catch {
    return [];
  }
  const parents = new Map();
  for (const process of processes) {
    try {
      parents.set(process, /\) \S (\d+)/.exec(readFileSync(`/proc/${process}/stat`, 'utf8'))[1]);
    } catch {} // it has ended
  }
  const family = new Set([String(pid)]);
  for (let size = 0; size !== family.size; ) {
    size = family.size;
    for (const [process, parent] of parents) if (family.has(parent)) family.add(process);
  }
  return [...family].flatMap((process) => {
    try {
      return [readFileSync(`/proc/${process}/cmdline`, 'utf8').replaceAll('\0', ' ')];
    } catch {
      return [];
    }
  });
}

/** `keyferry login` for this server, which succeeds and tells nothing secret. */
export async function teach(where, url, args, { stdin, env, secrets = NOTHING } = {}) {
  const login = await keyferry(where, ['login', url, ...args], { stdin, env: { KEYFERRY_LOG: 'debug', ...env } });
  holdsNone(secrets(), login.stdout + login.stderr, 'what login says');
  assert.equal(login.code, 0, login.stderr);
}

/** `keyferry login` that fails; what it said. */
export async function isNotTaught(where, url, args, { stdin, env, secrets = NOTHING } = {}, ...told) {
  const started = Date.now();
  const login = await keyferry(where, ['login', url, ...args], { stdin, env });
  assert.notEqual(login.code, 0, login.stdout + login.stderr);
  for (const words of told) assert.match(login.stderr, words);
  holdsNone(secrets(), login.stdout + login.stderr, 'what login says');
  assert.ok(Date.now() - started < TOLD_WITHIN_MS, `within ${Date.now() - started} ms`);
  return login.stderr;
}

/** A bridge behind which the caller is `identity`; it logs all it can. */
export async function knows(t, url, identity, { args = [], env = {}, secrets = NOTHING, ...options }) {
  const bridge = await connect(t, 'v1', url, { ...options, args, secrets, env: { KEYFERRY_LOG: 'debug', ...env } });
  const { tools } = await bridge.client.listTools();
  assert.ok(tools.some(({ name }) => name === 'whoami'));
  assert.equal(await call(bridge, 'whoami'), identity);
  holdsNone(secrets(), commandLines(bridge.pid).join('\n'), 'any command line');
  return bridge;
}

/** The same once, with a log file, which holds no secret. */
export async function knowsAndLogs(t, url, identity, { where, args = [], secrets, ...options }) {
  const log = join(where, 'keyferry.log');
  const bridge = await knows(t, url, identity, { where, args: [...args, '--debug', '--log-file', log], secrets, ...options });
  const written = async () => {
    while (!readFileSync(log, 'utf8').includes('tools/call')) await pause(20);
  };
  await within(DEADLINE_MS, 'the call is in the log', written());
  await bridge.close();
  holdsNone(secrets(), readFileSync(log, 'utf8'), 'the log');
}

/** The client gets an error of keyferry's own that names the remote and matches all of `told`; the error. */
export async function isRefused(t, url, { args = [], env = {}, secrets = NOTHING, ...options }, ...told) {
  const started = Date.now();
  let refusal;
  const attempt = async () => {
    const bridge = await connect(t, 'v1', url, { ...options, args, secrets, env: { KEYFERRY_LOG: 'debug', ...env } });
    await call(bridge, 'whoami');
  };
  await assert.rejects(attempt(), (error) => {
    refusal = error;
    assert.ok(error.code <= -31001 && error.code >= -31008, `a code of keyferry's own: ${error.code} ${error.message}`);
    assert.equal(error.data?.origin, 'keyferry');
    const words = `${error.message} ${error.data.hint}`;
    for (const expected of [new RegExp(new URL(url).host), ...told]) assert.match(words, expected);
    holdsNone(secrets(), JSON.stringify([error.message, error.data]), 'the error');
    return true;
  });
  assert.ok(Date.now() - started < TOLD_WITHIN_MS, `within ${Date.now() - started} ms`);
  return refusal;
}

/** What `keyferry list` shows, for people and as JSON; neither it nor the vault's directory holds a secret. */
export async function listed(where, secrets = NOTHING) {
  const kept = readdirSync(join(where, 'keyferry'), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { parentPath, path, name } of kept) holdsNone(secrets(), readFileSync(join(parentPath ?? path, name), 'latin1'), name);
  const [people, machines] = await Promise.all([keyferry(where, ['list']), keyferry(where, ['list', '--json'])]);
  assert.equal(people.code, 0, people.stderr);
  assert.equal(machines.code, 0, machines.stderr);
  holdsNone(secrets(), people.stdout + machines.stdout, 'the list');
  return { text: people.stdout, json: machines.stdout };
}
