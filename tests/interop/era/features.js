// The features of the matrix: what a client does (`play`, here for the SDKs in TypeScript and in
// `client.py` for Python), and what it has to see.
import { Seen } from '../support/waiting.js';
import { ASKS, CONSENT, NAMES, PICTURE, SHAPES } from '../servers/orchestra/score.js';
import { heard } from './clients.js';
import { MODERN } from './table.js';

const TEXT = 'Grüße, 世界 👋 \u2028 "quoted" \\ /\n\ttabbed';
const note = (player, name) => `note://${name}-of-${player}`;

/** One question of a tool, on the stream of its call or on that of the session. */
const asking = (tool, via, told) => ({
  async play(player) {
    player.asked.length = 0;
    const answer = await player.say(tool, { via });
    const [{ method, params = {} }, ...more] = player.asked;
    const { message, requestedSchema, url, messages } = params;
    const place = requestedSchema?.properties.place;
    return { told: answer, asked: [method, message, place, url, messages?.[0].content.text].filter(Boolean), more: more.length };
  },
  sees: () => {
    const { method, params = {} } = ASKS[tool];
    const said = [method, params.message, params.requestedSchema?.properties.place, params.url, params.messages?.[0].content.text];
    return { told, asked: said.filter(Boolean), more: 0 };
  },
});

const logging = (via) => ({
  async play(player) {
    player.notifications.items.length = 0;
    if (player.modern) {
      await player.logFrom(undefined);
      await player.say('log', { via }); // nobody asked for a log
    }
    await player.logFrom('error');
    await player.say('log', { via });
    await heard(player, 'notifications/message', 1, () => {});
    await player.logFrom('debug');
    await player.say('log', { via });
    return heard(player, 'notifications/message', 3, ({ level, logger, data }) => `${level} ${logger} ${data}`);
  },
  sees: () => ['error', 'debug', 'error'].map((level) => `${level} orchestra ${level} by ${via}`),
});

/** In the order in which a client goes through them. */
export const FEATURES = {
  tools: {
    play: async (player) => ({
      listed: (await player.tools()).filter((tool) => tool in SHAPES).sort(),
      echo: await player.say('echo', { text: TEXT }),
      wrong: (await player.call('echo', {})).isError,
    }),
    sees: () => ({ listed: Object.keys(SHAPES).sort(), echo: TEXT, wrong: true }),
  },

  resources: {
    async play({ client, received }, name) {
      const read = async (uri) => (await client.readResource({ uri })).contents[0];
      return {
        listed: (await client.listResources()).resources.map(({ uri }) => uri),
        templates: (await client.listResourceTemplates()).resourceTemplates.map(({ uriTemplate }) => uriTemplate).sort(),
        text: (await read(note(name, 'a'))).text,
        blob: (await read(PICTURE.uri)).blob,
        // SDK v2 shows its own code; what came is what counts.
        lost: await read('lost://property').then(() => 'found', () => received.items.findLast(({ error }) => error).error.code),
      };
    },
    // SDK v2 has the code of 2026-07-28 for every revision.
    sees: (name, { era }, revision, { sdk }) => ({
      listed: [PICTURE.uri],
      templates: ['lost://{name}', 'note://{name}'],
      text: `note: ${note(name, 'a')}`,
      blob: PICTURE.blob,
      lost: era === 'modern' || (sdk === 'v2' && revision !== MODERN) ? -32602 : -32002,
    }),
  },

  prompts: {
    play: async ({ client }) => ({
      listed: (await client.listPrompts()).prompts.map(({ name }) => name),
      text: (await client.getPrompt({ name: 'greet', arguments: { name: 'Zoë' } })).messages[0].content.text,
    }),
    sees: () => ({ listed: ['greet'], text: 'Hello, Zoë!' }),
  },

  completion: {
    async play({ client }) {
      const ref = { type: 'ref/prompt', name: 'greet' };
      return (await client.complete({ ref, argument: { name: 'name', value: 'A' } })).completion.values;
    },
    sees: () => NAMES.filter((name) => name.startsWith('A')),
  },

  progress: {
    async play(player, name) {
      const steps = new Seen();
      const onprogress = ({ progress, total }) => steps.push(`${progress}/${total}`);
      const call = player.say('count', { to: 3, name }, { onprogress });
      await steps.until('three steps', ({ length }) => length >= 3);
      await player.say('enough', { name });
      return { result: await call, steps: steps.items };
    },
    sees: () => ({ result: 'counted to 3', steps: ['1/3', '2/3', '3/3'] }),
  },

  cancellation: {
    async play(player, name) {
      const cancel = new AbortController();
      const call = player.say('wait', { name }, { signal: cancel.signal });
      const ended = call.then(() => 'answered', () => 'gone');
      await player.say('begun', { name });
      cancel.abort('changed my mind');
      return { server: await player.say('aborted', { name }), client: await ended };
    },
    sees: () => ({ server: 'the call was aborted', client: 'gone' }),
  },

  'resource updates': {
    async play(player, name) {
      const [a, b, other] = ['a', 'b', 'other'].map((one) => note(name, one));
      const updated = (count) => heard(player, 'notifications/resources/updated', count, ({ uri }) => uri);
      player.notifications.items.length = 0;
      const follow = await player.follow([a, b]);
      for (const uri of [other, a]) await player.say('touch', { uri });
      await updated(1);
      await follow([b]);
      for (const uri of [a, b]) await player.say('touch', { uri });
      const all = await updated(2);
      await follow([]);
      return all;
    },
    sees: (name) => [note(name, 'a'), note(name, 'b')],
  },

  'list changes': {
    async play(player, name) {
      const grown = `grown-for-${name}`;
      const changed = (count) => heard(player, 'notifications/tools/list_changed', count, () => 'changed');
      player.notifications.items.length = 0;
      const stop = await player.watchTools();
      const before = (await player.tools()).includes(grown);
      await player.say('grow', { name: grown });
      await changed(1);
      const after = (await player.tools()).includes(grown);
      await stop();
      return { before, after, works: await player.say(grown) };
    },
    sees: () => ({ before: false, after: true, works: 'new here' }),
  },

  'elicitation: form': asking('ask', 'call', 'accept Zürich'),
  'elicitation: form, by the session': asking('ask', 'session', 'accept Zürich'),
  'elicitation: URL': asking('visit', 'call', 'accept'),
  'elicitation: URL, by the session': asking('visit', 'session', 'accept'),

  // 2025-11-25 has an error for it. A client of a later revision is asked, and does not see the error.
  'elicitation: URL, by an error': {
    async play(player, name) {
      player.asked.length = 0;
      const first = await player.say('consent', { name }).catch(({ code, data }) => [code, data.elicitations[0].url]);
      const links = player.asked.map(({ params }) => params.url);
      return { first, links, then: await player.say('consent', { name }) };
    },
    sees: (name, { era }) => ({
      first: era === 'modern' ? `agreed: ${name}` : [-32042, CONSENT.url],
      links: era === 'modern' ? [CONSENT.url] : [],
      then: `agreed: ${name}`,
    }),
  },

  sampling: asking('sample', 'call', 'sampled: schön'),
  'sampling, by the session': asking('sample', 'session', 'sampled: schön'),
  roots: asking('roots', 'call', 'file:///first first'),
  'roots, by the session': asking('roots', 'session', 'file:///first first'),

  'all of these in one call': {
    play: (player) => player.say('rounds'),
    sees: () => 'accept Zürich; sampled: schön; file:///first first',
  },

  logging: logging('call'),
  'logging, by the session': logging('session'),
};
