// What a client must hear of a credential that is refused, and what nobody may read anywhere.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from './clients.js';
import { within } from './waiting.js';

/** How soon it must hear of it. */
const SOON_MS = 10_000;

/** For assert.rejects: an error of keyferry's own that has these parts and none of these secrets. */
export const told = (parts, secrets = []) => (error) => {
  assert.equal(error.data?.origin, 'keyferry', String(error));
  const said = `${error.message} ${error.data.hint}`;
  for (const part of parts) assert.ok(said.includes(part), `${part} in: ${said}`);
  for (const secret of secrets) assert.ok(!JSON.stringify(error).includes(secret) && !error.stack.includes(secret));
  return true;
};

/** Whatever is done, it fails soon, with the remote's host and port and these parts. */
export const refused = (what, url, parts, secrets) =>
  assert.rejects(within(SOON_MS, 'the client is told', what), told([new URL(url).host, ...parts], secrets));

/** Like `connect`, with the most talkative log there is; `log()` is what it said. */
export async function connectLogged(t, sdk, url, { where, args = [], ...options }) {
  const file = join(where, `log-${Math.random()}`);
  const bridge = await connect(t, sdk, url, { where, args: [...args, '--log-level', 'trace', '--log-file', file], ...options });
  const log = () => {
    const said = readFileSync(file, 'utf8');
    assert.notEqual(said, '', 'there is a log');
    return said;
  };
  return { ...bridge, log };
}
