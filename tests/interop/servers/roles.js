// An MCP server (SDK v1, sessions) with its own idea of who may call: an API key (X-API-Key, or as
// bearer) or a JWT (HS256, 5 minutes at most), one of them, or none where that is allowed; and of
// what they may do: a viewer may not `write`. No WWW-Authenticate, no .well-known.
import { jwtVerify } from 'jose';
import { Seen } from '../support/waiting.js';
import { listenFetch } from './http.js';
import { membersV1 } from './members.js';

const NOBODY = { identity: 'nobody', role: 'viewer' };
const text = (words, status) => new Response(words, { status, headers: { 'content-type': 'text/plain' } });

/** Ways to say no to a call. */
const REFUSALS = {
  status: () => text('role viewer may not write', 403),
  rpc: ({ id }) => Response.json({ jsonrpc: '2.0', id, error: { code: -32003, message: 'role viewer may not write' } }, { status: 403 }),
};

/**
 * `keys`: API key to { identity, role }. `secret`: what JWTs are signed with; `sub` and `role` are in
 * them. `optional`: who shows nothing is a viewer named nobody, and is asked for a key (401) when
 * that does not do. `refusal`: how a viewer is refused.
 */
export async function startRoles({ keys = {}, secret, optional = false, refusal = 'status' }) {
  const requests = new Seen(); // { method, path, status, identity, rpc, name, authorization }
  const members = membersV1();

  async function caller(request) {
    const bearer = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    const key = request.headers.get('x-api-key') ?? bearer;
    if (!key) return optional ? NOBODY : text('an API key or a JWT is needed', 401);
    if (Object.hasOwn(keys, key)) return keys[key];
    if (!secret || key !== bearer || key.split('.').length !== 3) return text('API key unknown', 403);
    try {
      const options = { algorithms: ['HS256'], audience: server.url, requiredClaims: ['sub', 'exp', 'iat'], maxTokenAge: 300 };
      const { payload } = await jwtVerify(key, new TextEncoder().encode(secret), options);
      return { identity: payload.sub, role: payload.role ?? 'viewer' };
    } catch (error) {
      return text(`JWT refused: ${error.message}`, 403);
    }
  }

  async function answer(request, seen) {
    if (seen.path !== '/mcp') return text('nothing here', 404);
    const known = await caller(request);
    if (known instanceof Response) return known;
    seen.identity = known.identity;
    const call = request.method === 'POST' ? await request.clone().json() : {};
    Object.assign(seen, { rpc: call.method, name: call.params?.name });
    if (call.params?.name === 'write' && known.role !== 'admin') {
      return known === NOBODY ? text('writing needs an API key', 401) : REFUSALS[refusal](call);
    }
    return members(request, { token: 'seen', clientId: known.identity, scopes: [known.role], identity: known.identity });
  }

  const server = await listenFetch(async (request) => {
    const seen = { method: request.method, path: new URL(request.url).pathname, authorization: request.headers.get('authorization') };
    const response = await answer(request, seen);
    requests.push({ ...seen, status: response.status });
    return response;
  });
  return { ...server, requests, calls: (name) => requests.items.filter((request) => request.name === name) };
}
