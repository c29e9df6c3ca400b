// What an orchestra plays: one set of tools, resources and prompts for every revision and SDK
// (`v1.js`, `v2.js`, and in Python `plays.py`). A tool that has to wait does so for another call of
// the same client, so that nothing here depends on time.
import { z } from 'zod';

export const words = (text) => ({ content: [{ type: 'text', text }] });

/** What a tool asks of the client, and what it tells of the answer. */
export const ASKS = {
  ask: {
    method: 'elicitation/create',
    params: {
      message: 'Where to?',
      requestedSchema: { type: 'object', properties: { place: { type: 'string' } }, required: ['place'] },
    },
    tell: ({ action, content }) => [action, content?.place].filter(Boolean).join(' '),
  },
  visit: {
    method: 'elicitation/create',
    params: { mode: 'url', message: 'Please agree', url: 'https://example.com/consent?x=1' },
    tell: ({ action }) => action,
  },
  sample: {
    method: 'sampling/createMessage',
    params: { messages: [{ role: 'user', content: { type: 'text', text: 'say it' } }], maxTokens: 10 },
    tell: ({ content }) => content.text,
  },
  roots: { method: 'roots/list', tell: ({ roots }) => roots.map(({ uri, name }) => `${uri} ${name}`).join() },
};

/** The link that a server of 2025-11-25 may refuse a call for. */
export const CONSENT = { mode: 'url', message: 'First agree', url: 'https://example.com/first', elicitationId: 'first' };

/** Input of the tools; all of it text, but for a number of steps. */
export const SHAPES = {
  echo: { text: z.string() },
  count: { to: z.number(), name: z.string() },
  enough: { name: z.string() },
  wait: { name: z.string() },
  begun: { name: z.string() },
  aborted: { name: z.string() },
  ...Object.fromEntries(Object.keys(ASKS).map((name) => [name, { via: z.enum(['call', 'session']) }])),
  rounds: {},
  consent: { name: z.string() },
  log: { via: z.enum(['call', 'session']) },
  grow: { name: z.string() },
  touch: { uri: z.string() },
};

export const NAMES = ['Ada', 'Alan', 'Grace'];
export const completions = (value) => NAMES.filter((name) => name.startsWith(value));
export const note = (uri) => ({ contents: [{ uri: uri.href, mimeType: 'text/plain', text: `note: ${uri.href}` }] });
export const PICTURE = { uri: 'picture://dot', mimeType: 'image/gif', blob: 'R0lGODlhAQABAAAAACw=' };
export const greeting = (name) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Hello, ${name}!` } }] });

/** Points that are reached once, each by its name. */
export function points() {
  const known = new Map();
  const point = (name) => {
    if (!known.has(name)) {
      let reach;
      const reached = new Promise((resolve) => (reach = resolve));
      known.set(name, { reached, reach });
    }
    return known.get(name);
  };
  return { reach: (name) => point(name).reach(), reached: (name) => point(name).reached };
}

/** The tools that are written alike for every SDK. `signal` and `progress` are of this call. */
export function sharedTools(points) {
  return {
    echo: ({ text }) => words(text),

    async count({ to, name }, { progress }) {
      for (let step = 1; step <= to; step++) await progress({ progress: step, total: to });
      await points.reached(`${name} has enough`);
      return words(`counted to ${to}`);
    },
    enough({ name }) {
      points.reach(`${name} has enough`);
      return words('so be it');
    },

    // Ends only when it is cancelled.
    wait({ name }, { signal }) {
      const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
      points.reach(`${name} waits`);
      return aborted.then(() => {
        points.reach(`${name} was aborted`);
        return words('too late');
      });
    },
    async begun({ name }) {
      await points.reached(`${name} waits`);
      return words('the call waits');
    },
    async aborted({ name }) {
      await points.reached(`${name} was aborted`);
      return words('the call was aborted');
    },
  };
}

/** Resolves when something has been written in answer to the request: whoever asked is listening. */
export function answered(response) {
  return new Promise((resolve) => {
    for (const name of ['write', 'flushHeaders']) {
      const original = response[name];
      response[name] = function (...args) {
        const done = original.apply(this, args);
        if (response.statusCode === 200) resolve();
        return done;
      };
    }
  });
}

export async function bodyText(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

export const bodyOf = async (request) => (request.method === 'POST' ? JSON.parse(await bodyText(request)) : undefined);
