// The client under test, as the conformance runner starts it: `client.js <v1|v2> <same|other>
// <server URL>`. It launches keyferry as a host would, with a browser in which the person agrees to
// everything, and then does what the scenario needs. In the `other` case the wire of the scenario is
// not of the client's era. Only if everything came out as it should, it ends with 0 and says so on
// stdout: in some scenarios the runner does not mind how its client ends.
import assert from 'node:assert/strict';
import { ElicitRequestSchema } from '@modelcontextprotocol/sdk/types.js';
import { startBrowser } from '../support/browser.js';
import { home, launch } from '../support/bridge.js';
import { SDK, textOf } from '../support/clients.js';
import { DEADLINE_MS, within } from '../support/waiting.js';
import { credentials } from './credentials.js';
import { passageTo } from './passage.js';
import { AS_IT_SHOULD, MODERN, REFUSED } from './scenarios.js';

const [sdk, era, url] = process.argv.slice(2);
const other = era === 'other';
const scenario = process.env.MCP_CONFORMANCE_SCENARIO;
const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

const call = async (client, name, args = {}) => client.callTool({ name, arguments: args });
const names = async (client) => (await client.listTools()).tools.map(({ name }) => name);

/** With a scenario in which the sign-in must not succeed. */
async function refused(client) {
  await client.listTools().catch(() => {}); // the stand-in's list, or the reason
  await assert.rejects(call(client, 'test-tool'), ({ code, message }) => {
    console.error(`refused as it should be: ${code} ${message}`);
    return code <= -31001 && code >= -31008;
  });
}

async function signedIn(client) {
  const first = await names(client);
  assert.equal(textOf(await call(client, 'test-tool')), 'test');
  // Who is slow to sign in gets the stand-in's list first.
  const tools = first.includes('test-tool') ? first : await names(client);
  assert.deepEqual(tools, ['test-tool']);
}

const STEPS = {
  initialize: names,

  async tools_call(client) {
    await names(client);
    assert.equal(textOf(await call(client, 'add_numbers', { a: 2, b: 3 })), 'The sum of 2 and 3 is 5');
  },

  async 'elicitation-sep1034-client-defaults'(client) {
    await names(client);
    await within(DEADLINE_MS, 'the GET stream is open', passage.streaming);
    await call(client, 'test_client_elicitation_defaults');
  },

  async 'sse-retry'(client) {
    await names(client);
    await call(client, 'test_reconnection');
  },

  'request-metadata': names,
  'json-schema-ref-no-deref': names,

  async 'json-schema-2020-12-preservation'(client) {
    const { tools } = await client.listTools();
    const { inputSchema } = tools.find(({ name }) => name === 'json_schema_2020_12_tool');
    await call(client, 'json_schema_echo', { schema: inputSchema });
  },

  async 'sep-2322-client-request-state'(client) {
    await names(client);
    // The SDK answers the elicitations; the unrelated call goes out between the rounds of another.
    const [echo] = await Promise.all([call(client, 'test_mrtr_echo_state'), call(client, 'test_mrtr_unrelated')]);
    assert.equal(textOf(echo), 'echo-state-ok');
    assert.equal(textOf(await call(client, 'test_mrtr_no_state')), 'no-state-ok');
    const bare = call(client, 'test_mrtr_no_result_type');
    if (sdk === 'v1') return assert.equal(textOf(await bare), 'no-result-type-test-ok');
    // Passed on as it is; this SDK takes it from servers of earlier revisions only.
    await assert.rejects(bare, { data: { method: 'tools/call', violation: 'missing-resultType' } });
  },

  async 'http-standard-headers'(client) {
    for (const name of await names(client)) await call(client, name);
    for (const { uri } of (await client.listResources()).resources) await client.readResource({ uri });
    for (const { name } of (await client.listPrompts()).prompts) await client.getPrompt({ name });
  },

  async 'http-custom-headers'(client) {
    await names(client);
    for (const { name, arguments: args } of context.toolCalls) await call(client, name, args);
  },

  async 'http-invalid-tool-headers'(client) {
    const tools = await names(client);
    for (const name of tools) await call(client, name, { region: 'eu' });
    assert.deepEqual(tools, ['valid_tool']);
  },
};

const capabilities =
  scenario === 'elicitation-sep1034-client-defaults' ? { elicitation: { form: { applyDefaults: true } } }
  : scenario === 'request-metadata' ? { elicitation: { form: {} }, sampling: {}, roots: {} }
  : scenario === 'sep-2322-client-request-state' ? { elicitation: { form: {} } }
  : {};

const { Client, Stdio } = SDK[sdk];
// To be sure of the era that it is in, it does not look for another one.
const mode = other ? { pin: MODERN } : 'auto';
const client = new Client(
  { name: 'interop-conformance', version: '1.0.0' },
  { capabilities, ...(sdk === 'v2' && { versionNegotiation: { mode } }) },
);
if (capabilities.elicitation) {
  const content = scenario === 'sep-2322-client-request-state' ? { confirmed: true } : {};
  client.setRequestHandler(sdk === 'v1' ? ElicitRequestSchema : 'elicitation/create', () => ({ action: 'accept', content }));
}

const where = home();
const browser = await startBrowser(where);
const { flags, env: given } = credentials(scenario, context, where);
// The wrong callback is turned away, and the sign-in goes on waiting for the right one.
if (REFUSED.has(scenario)) flags.push('--auth-timeout', '3');
// The servers of the scenarios look at every request that they get, or would as soon have a handshake.
if (other && sdk === 'v1') flags.push('--protocol', 'modern');
const env = { BROWSER: browser.command, ...given };
// That scenario's server elicits on the GET stream, and what it says before there is one is lost.
const passage = scenario === 'elicitation-sep1034-client-defaults' && (await passageTo(url));
const command = launch(where, passage ? passage.url : url, ...flags);
const transport = new Stdio({ ...command, env: { ...command.env, ...env }, stderr: 'inherit' });
let code = 0;
try {
  await within(20_000, 'the client connects', client.connect(transport));
  if (sdk === 'v2') assert.equal(client.getNegotiatedProtocolVersion(), MODERN);
  const steps = STEPS[scenario] ?? (REFUSED.has(scenario) ? refused : signedIn);
  await within(25_000, 'the steps of the scenario', steps(client));
} catch (error) {
  console.error(error);
  code = 1;
}
console.error(`links opened: ${browser.links.items.length}`);
for (const { status, text } of browser.visits.items) console.error(`the browser ended on a page (${status}): ${text?.slice(0, 300)}`);
for (const fault of browser.faults) console.error('the browser failed:', fault);
await client.close().catch(() => {});
if (code === 0) process.stdout.write(`${AS_IT_SHOULD}\n`);
process.exitCode = code;
await browser.stop();
if (passage) passage.stop();
