// The official conformance suite's client scenarios, through keyferry: a handshake-era SDK client on
// the 2025-11-25 wire, a modern one on the 2026-07-28 wire; then the core ones of the newest package
// with the client of the other era. A warning fails a scenario.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { AS_IT_SHOULD, MODERN, OTHER_ERA, PACKAGES, SCENARIOS } from './conformance/scenarios.js';
import { bridgeOnly, home } from './support/bridge.js';
import { within } from './support/waiting.js';

const here = dirname(fileURLToPath(import.meta.url));
const LIMIT_MS = 60_000;

/** The package's own command, run to its end. */
async function run({ alias }, args) {
  const program = join(here, 'node_modules', alias, 'dist/index.js');
  const child = spawn(process.execPath, ['--import', './conformance/globsync.js', program, ...args], {
    cwd: here, // the client's path in --command is relative: the runner splits that at spaces
    env: { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}`, NODE_TEST_CONTEXT: '', NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = Promise.all([once(child, 'close'), text(child.stdout), text(child.stderr)]);
  try {
    const [[code], stdout, stderr] = await within(LIMIT_MS, `${alias} ${args.join(' ')} ends`, ended);
    return { code, stdout, stderr };
  } finally {
    child.kill('SIGKILL');
  }
}

/** What the runner saw in one scenario: { status, name, ... } of each check. */
function checksIn(directory) {
  const files = readdirSync(directory, { recursive: true }).filter((path) => path.endsWith('checks.json'));
  assert.equal(files.length, 1, `one checks.json in ${directory}`);
  return JSON.parse(readFileSync(join(directory, files[0]), 'utf8'));
}

/** What the client said there. */
const output = (directory) =>
  readdirSync(directory, { recursive: true })
    .filter((path) => /std(out|err)\.txt$/.test(path))
    .map((path) => `--- ${path}\n${readFileSync(join(directory, path), 'utf8')}`)
    .join('\n');

test('the table says something about every client scenario of both packages, on each of its wires', bridgeOnly, async () => {
  for (const pkg of PACKAGES) {
    const { stdout } = await run(pkg, ['list', '--client']);
    const listed = [...stdout.matchAll(/^ {2}- (\S+) \[(.*)\]/gm)].flatMap(([, name, revisions]) => {
      if (revisions === 'extension') return [`${name} extension`];
      const wires = revisions.split(',').filter((revision) => pkg.wires.includes(revision));
      return (wires.length ? wires : [pkg.wires[0]]).map((wire) => `${name} ${wire}`);
    });
    assert.ok(listed.length > 20);
    const ours = SCENARIOS.filter((row) => row.package === pkg);
    const said = ours.map(({ scenario, wire, extension }) => `${scenario} ${extension ? 'extension' : wire}`);
    assert.deepEqual(said.sort(), listed.sort(), pkg.version);
    assert.equal(ours.filter(({ expected }) => expected === 'pass').length, pkg.passing);
    const { version } = JSON.parse(readFileSync(join(here, 'node_modules', pkg.alias, 'package.json'), 'utf8'));
    assert.equal(version, pkg.version);
  }
});

/** Runs one scenario; `era` is 'same' if the client speaks what the wire does, else 'other'. */
async function play({ scenario, wire, spec, extension, package: pkg }, era) {
  const results = home();
  const sdk = (wire === MODERN) === (era === 'same') ? 'v2' : 'v1';
  const command = `node conformance/client.js ${sdk} ${era}`;
  const args = ['client', '--command', command, '--scenario', scenario, '--timeout', '45000', '-o', results];
  if (pkg.version.startsWith('0.2')) {
    args.push('--spec-version', spec ?? wire);
    if (extension) args.push('--force'); // it is of no revision
  }
  const { code, stdout, stderr } = await run(pkg, args);
  const client = output(results);
  const everything = `${stdout}\n${stderr}\n${client}`;
  assert.equal(code, 0, everything);
  assert.ok(client.includes(AS_IT_SHOULD), everything);
  const bad = checksIn(results).filter(({ status }) => status === 'FAILURE' || status === 'WARNING');
  assert.deepEqual(bad, [], everything);
}

const name = ({ scenario, wire, package: { version } }) => `${version} ${wire} ${scenario}`;

describe('conformance', { concurrency: 3, ...bridgeOnly }, () => {
  for (const row of SCENARIOS) {
    if (row.expected === 'pass') test(name(row), { timeout: LIMIT_MS }, () => play(row, 'same'));
    else test(name(row), { skip: row.expected });
  }
});

test('33 core scenarios of the 2026-07-28 wire and 21 of earlier wires have a client of the other era', () => {
  const on = (modern) => OTHER_ERA.filter(({ wire }) => (wire === MODERN) === modern).length;
  assert.deepEqual([on(true), on(false)], [33, 21]);
});

describe('conformance, with the client of the other era', { concurrency: 3, ...bridgeOnly }, () => {
  for (const row of OTHER_ERA) test(`${name(row)}, other era`, { timeout: LIMIT_MS }, () => play(row, 'other'));
});
