// An MCP server with a login of its own, as many an in-house service has it: `POST /auth/token` trades a
// name and a password for a token that soon ends. Without a token 401; with a wrong or an expired one a
// bare 403. Neither says WWW-Authenticate, and nothing is under .well-known.
import { randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { Seen } from '../support/waiting.js';
import { json, listenFetch } from './http.js';
import { membersV1 } from './members.js';

/** What the endpoint answers: the forms that are met in the wild. */
export const FORMS = {
  oauthLike: (token, seconds) => ({ access_token: token, token_type: 'Bearer', expires_in: seconds }),
  token: (token, seconds) => ({ token, expires_in: String(seconds) }),
  at: (token, seconds) => ({ token, expires_at: Math.floor(Date.now() / 1000) + seconds }),
  nested: (token, seconds) => ({ data: { session: { key: token } }, expires_in: seconds }),
  silent: (token) => ({ token }), // says nothing of an end
};

/** `passwords` by name; `seconds`: how long a token is good; `form` of the answer, one of FORMS. */
export async function startLoginEndpoint(passwords, { seconds = 8, form = 'oauthLike' } = {}) {
  const members = membersV1();
  const tokens = new Map(); // token -> { username, ends }
  const logins = new Seen(); // { username, type, status, at }
  const calls = new Seen(); // { status, token }

  async function login(request) {
    const type = request.headers.get('content-type');
    const { username, password } =
      type === 'application/x-www-form-urlencoded' ? Object.fromEntries(new URLSearchParams(await request.text())) : await request.json();
    const status = passwords[username] !== undefined && passwords[username] === password ? 200 : 401;
    logins.push({ username, type, status, at: Date.now() });
    if (status !== 200) return json({ error: `no such user or password: ${username}` }, status);
    const token = randomBytes(24).toString('base64url');
    tokens.set(token, { username, ends: Date.now() + seconds * 1000 });
    return json(FORMS[form](token, seconds));
  }

  const server = await listenFetch(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === '/auth/token' && request.method === 'POST') return login(request);
    if (pathname !== '/mcp') return json({ error: 'nothing here' }, 404);
    const { authorization, 'x-session': session } = Object.fromEntries(request.headers);
    const token = session ?? /^Bearer (.+)$/.exec(authorization ?? '')?.[1];
    const known = tokens.get(token);
    const status = !token ? 401 : !known || known.ends <= Date.now() ? 403 : 200;
    calls.push({ status, token });
    if (status !== 200) return new Response(null, { status });
    return members(request, { token, clientId: known.username, scopes: [], identity: known.username });
  });

  return {
    ...server,
    loginUrl: `${server.origin}/auth/token`,
    logins,
    calls,
    granted: () => logins.items.filter(({ status }) => status === 200).length,
    tokens: () => [...tokens.keys()],
    /** Waits until every token so far is past its end. */
    async allExpired() {
      const last = Math.max(0, ...[...tokens.values()].map(({ ends }) => ends));
      await pause(Math.max(0, last - Date.now()) + 1);
    },
    /** As after a restart: every token so far is unknown. */
    forget: () => tokens.clear(),
  };
}
