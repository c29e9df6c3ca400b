// People who sit at a client that launches keyferry, with a browser that keeps its cookies.
import { home, keyferry } from './bridge.js';
import { startBrowser, Window } from './browser.js';
import { connect, textOf } from './clients.js';

/**
 * `act(window, page)` is what the person does with the page a link leads to; it returns the page it
 * ends on. What it throws fails the test.
 */
export async function person(t, act) {
  const where = home();
  const person = { act, window: new Window() };
  const browser = await startBrowser(where, async (link) => person.act(person.window, await person.window.open(link)));
  t.after(async () => {
    await browser.stop();
    if (browser.faults.length) throw browser.faults[0];
  });
  const env = { BROWSER: browser.command };
  return Object.assign(person, {
    where,
    browser: browser.command,
    links: browser.links,
    visits: browser.visits,
    /** Launches keyferry for this address. */
    connect: (sdk, url, options = {}) => connect(t, sdk, url, { where, ...options, env: { ...env, ...options.env } }),
    keyferry: (args, options = {}) => keyferry(where, args, { ...options, env: { ...env, ...options.env } }),
  });
}

export const call = async ({ client }, name) => textOf(await client.callTool({ name, arguments: {} }));
