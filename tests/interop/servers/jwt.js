// MCP servers for services that mint their own JWTs: checked with jsonwebtoken (a shared secret) or with
// jose (keys published as a JWKS). Absent or wrong is a 401 with JSON; no WWW-Authenticate, no .well-known.
import { createRemoteJWKSet, exportJWK, jwtVerify } from 'jose';
import jsonwebtoken from 'jsonwebtoken';
import { Seen } from '../support/waiting.js';
import { json, listenFetch } from './http.js';
import { membersV1 } from './members.js';

export const AUDIENCE = 'the-mcp-server';

/** jsonwebtoken, as its readme has it. `maxAge`: how old a token may be. */
export const byShared = (secret, { algorithm = 'HS256', maxAge = '30s' } = {}) => (token, now) =>
  jsonwebtoken.verify(token, secret, { algorithms: [algorithm], audience: AUDIENCE, maxAge, clockTimestamp: now });

/** jose, with the keys that `jwks` publishes; it also refuses what was issued in the future. */
export function byPublished(jwks, algorithm) {
  const keys = createRemoteJWKSet(new URL(jwks));
  return async (token, now) => {
    const checks = { algorithms: [algorithm], audience: AUDIENCE, maxTokenAge: '30s', currentDate: new Date(now * 1000) };
    return (await jwtVerify(token, keys, checks)).payload;
  };
}

/** Publishes these public keys, by key id. */
export async function startJwks(keys) {
  const published = await Promise.all(Object.entries(keys).map(async ([kid, key]) => ({ ...(await exportJWK(key)), kid, use: 'sig' })));
  return listenFetch(async () => json({ keys: published }));
}

/**
 * `verify(token, now)` gives the claims or throws. `fast`: how many seconds this server's clock is ahead,
 * in its checks and in its Date header. `header` carries the bare token instead of Authorization.
 */
export async function startJwt(verify, { fast = 0, header } = {}) {
  const members = membersV1();
  const calls = new Seen(); // { status, token, claims }
  const now = () => Math.floor(Date.now() / 1000) + fast;

  async function answer(request) {
    const token = header ? request.headers.get(header) : /^Bearer (.+)$/.exec(request.headers.get('authorization') ?? '')?.[1];
    const refuse = (error) => {
      calls.push({ status: 401, token });
      return json({ error }, 401);
    };
    if (!token) return refuse('no token');
    let claims;
    try {
      claims = await verify(token, now());
      for (const claim of ['iat', 'exp', 'jti', 'sub']) if (claims[claim] === undefined) throw new Error(`no ${claim}`);
    } catch (error) {
      return refuse(error.message);
    }
    calls.push({ status: 200, token, claims });
    return members(request, { token, clientId: claims.iss, scopes: claims.roles ?? [], identity: claims.sub });
  }

  const server = await listenFetch(async (request) => {
    const response = await answer(request);
    response.headers.set('date', new Date(now() * 1000).toUTCString());
    return response;
  });
  return {
    ...server,
    calls,
    tokens: () => [...new Set(calls.items.filter(({ status }) => status === 200).map(({ token }) => token))],
  };
}
