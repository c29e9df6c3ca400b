// Who meets whom in the matrix, and what cannot be asked of a pair because a revision does not have it.
export const MODERN = '2026-07-28';
const LATEST_LEGACY = '2025-11-25';

/** `era`: the one that the client ends up in when it is keyferry that it talks to. */
export const CLIENTS = [
  { name: 'SDK v1', sdk: 'v1', era: 'legacy' },
  { name: 'SDK v2, legacy', sdk: 'v2', mode: 'legacy', era: 'legacy' },
  { name: 'Python, legacy', sdk: 'python', mode: 'legacy', era: 'legacy' },
  { name: 'SDK v2, dual-era', sdk: 'v2', mode: 'auto', era: 'modern' },
  { name: 'Python, dual-era', sdk: 'python', mode: 'auto', era: 'modern' },
  { name: 'SDK v2, modern', sdk: 'v2', mode: { pin: MODERN }, era: 'modern' },
  { name: 'Python, modern', sdk: 'python', mode: MODERN, era: 'modern' },
];

/** `revisions`: what the remote speaks, the handshake's first. */
export const REMOTES = [
  { name: 'HTTP+SSE', sdk: 'v1', sse: true, revisions: ['2024-11-05'] },
  { name: 'HTTP+SSE, 2025-11-25', sdk: 'python', sse: true, revisions: [LATEST_LEGACY] },
  { name: '2025-03-26', sdk: 'v1', revisions: ['2025-03-26'] },
  { name: '2025-06-18', sdk: 'v1', revisions: ['2025-06-18'] },
  { name: '2025-11-25', sdk: 'v1', revisions: [LATEST_LEGACY] },
  { name: 'dual-era', sdk: 'v2', revisions: [LATEST_LEGACY, MODERN] },
  { name: 'dual-era', sdk: 'python', revisions: [LATEST_LEGACY, MODERN] },
  { name: 'modern-only', sdk: 'v2', revisions: [MODERN] },
];

const SDKS = { v1: 'SDK v1', v2: 'SDK v2', python: 'Python' };
export const nameOf = ({ name, sdk }) => `${name} (${SDKS[sdk]})`;

/** The revision that is spoken with the remote. */
export const spoken = ({ era }, { revisions }) =>
  revisions.find((revision) => (revision === MODERN) === (era === 'modern')) ?? revisions[0];

export const sameEra = (client, remote) => (spoken(client, remote) === MODERN) === (client.era === 'modern');

/** Revisions before which, and after which, there is no such thing. */
const BOUNDS = {
  'elicitation: form': { since: '2025-06-18' },
  'elicitation: form, by the session': { since: '2025-06-18', until: LATEST_LEGACY },
  'elicitation: URL': { since: '2025-11-25' },
  'elicitation: URL, by the session': { since: '2025-11-25', until: LATEST_LEGACY },
  'elicitation: URL, by an error': { since: '2025-11-25', until: LATEST_LEGACY },
  'sampling, by the session': { until: LATEST_LEGACY },
  'roots, by the session': { until: LATEST_LEGACY },
  'all of these in one call': { since: '2025-06-18' },
  'logging, by the session': { until: LATEST_LEGACY },
};

/** Why the remote cannot be asked for this feature, if so. */
export function gap(feature, client, remote) {
  const { since = '', until = '9999' } = BOUNDS[feature] ?? {};
  const revision = spoken(client, remote);
  if (revision < since) return `since ${since}; the remote speaks ${revision}`;
  if (revision > until) return `until ${until}; the remote speaks ${revision}`;
  return undefined;
}

function bounds(feature) {
  const { since, until } = BOUNDS[feature] ?? {};
  if (since && since === until) return ` (${since})`;
  const said = [since && `since ${since}`, until && `until ${until}`].filter(Boolean).join(', ');
  return said && ` (${said})`;
}

/** The matrix as the README has it; `verdict(client, remote)` is what stands in a cell. */
export function markdown(verdict, features) {
  const row = (cells) => `| ${cells.join(' | ')} |`;
  return [
    row(['client', ...REMOTES.map(nameOf)]),
    row(['---', ...REMOTES.map(() => '---')]),
    ...CLIENTS.map((client) => row([client.name, ...REMOTES.map((remote) => verdict(client, remote))])),
    '',
    `The number counts the features: ${features.map((feature) => feature + bounds(feature)).join('; ')}.`,
    'What goes "by the session" is asked or told by the server outside of the call that it belongs to.',
  ].join('\n');
}
