// oidc-provider as the authorization server of an MCP server on another port (SDK v1): opaque tokens
// that the MCP server introspects, resource indicators, rotating refresh tokens (an old one shown
// again revokes the whole grant), device grant, client credentials, and registration on or off.
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { Seen } from '../support/waiting.js';
import { json, listen, listenFetch } from './http.js';
import { membersV1 } from './members.js';

const INTROSPECTOR = { client_id: 'the-mcp-server', client_secret: 'of-the-mcp-server' };
/** A client without a secret; by hand, since its server publishes nothing. */
export const PUBLIC = { client_id: 'known-and-public' };
export const KNOWN = { client_id: 'known-beforehand', client_secret: 'secret-known-beforehand' };
const DEVICE = 'urn:ietf:params:oauth:grant-type:device_code';

/** It warns of its development pages and keys, which are meant for this, and of the older Node.js. */
function quietly(make) {
  const { warn, info } = console;
  console.warn = console.info = () => {};
  const restore = () => Object.assign(console, { warn, info });
  const made = make();
  if (made instanceof Promise) return made.finally(restore);
  restore();
  return made;
}

const { Provider } = await quietly(() => import('oidc-provider'));

const native = {
  application_type: 'native',
  redirect_uris: ['http://localhost/oauth/callback', 'http://127.0.0.1/oauth/callback'],
  grant_types: ['authorization_code', 'refresh_token', DEVICE],
};
/** The metadata of a client that signs in for itself. */
const machine = (metadata) => ({ ...metadata, redirect_uris: [], response_types: [], grant_types: ['client_credentials'] });

/**
 * `tokenSeconds`: how long an access token lives; `format`: an `opaque` one is introspected, a `jwt`
 * verified. `machines`: clients that sign in for themselves. `bare`: the MCP server has no metadata and
 * explains nothing: 401 without a token, 403 with a wrong or an expired one.
 */
export async function startOidc({ registration = true, tokenSeconds = 3600, format = 'opaque', machines = [], bare = false } = {}) {
  const requests = new Seen(); // at the authorization server: { method, path, status }
  const calls = new Seen(); // at the MCP server: { method, status, token, rpc }
  let provider;
  const authority = await listen(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://test');
    const seen = { method: request.method, path: pathname };
    response.on('finish', () => requests.push({ ...seen, status: response.statusCode }));
    await provider.callback()(request, response);
  });

  const members = membersV1();
  const resource = await listenFetch(async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === '/.well-known/oauth-protected-resource/mcp' && !bare) {
      return json({ resource: resource.url, authorization_servers: [authority.origin], scopes_supported: ['mcp:read', 'mcp:write'] });
    }
    if (pathname !== '/mcp') return json({ error: 'nothing here' }, 404);

    const token = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    const { method } = request;
    const metadata = `resource_metadata="${resource.origin}/.well-known/oauth-protected-resource/mcp"`;
    const refuse = (status, challenge) => {
      if (bare) status = token ? 403 : 401;
      calls.push({ method, status, token });
      if (bare) return new Response(null, { status });
      return json({ error: 'unauthorized' }, status, { 'www-authenticate': `Bearer ${challenge}, ${metadata}` });
    };
    if (!token) return refuse(401, 'scope="mcp:read"');
    const known = await (format === 'jwt' ? verify : introspect)(token);
    if (!known.active || ![known.aud].flat().includes(resource.url)) return refuse(401, 'error="invalid_token", scope="mcp:read"');

    const scopes = (known.scope ?? '').split(' ').filter(Boolean);
    const body = method === 'POST' ? await request.clone().json() : undefined;
    const needed = body?.params?.name === 'write' ? 'mcp:write' : 'mcp:read';
    if (!scopes.includes(needed)) return refuse(403, `error="insufficient_scope", scope="${needed}"`);
    calls.push({ method, status: 200, token, rpc: body?.method });
    return members(request, { token, clientId: known.client_id, scopes, identity: known.sub ?? known.client_id });
  });

  async function introspect(token) {
    const response = await fetch(`${authority.origin}/token/introspection`, {
      method: 'POST',
      body: new URLSearchParams({ token, ...INTROSPECTOR }),
    });
    return response.json();
  }

  const keys = createRemoteJWKSet(new URL('/jwks', authority.origin));
  const verify = (token) =>
    jwtVerify(token, keys, { issuer: authority.origin }).then(
      ({ payload }) => ({ ...payload, active: true }),
      () => ({ active: false }),
    );

  provider = quietly(
    () =>
      new Provider(authority.origin, {
        clients: [
          { ...INTROSPECTOR, redirect_uris: [], response_types: [], grant_types: [], token_endpoint_auth_method: 'client_secret_post' },
          { ...KNOWN, ...native, token_endpoint_auth_method: 'client_secret_basic' },
          { ...PUBLIC, ...native, token_endpoint_auth_method: 'none' },
          ...machines.map(machine),
        ],
        cookies: { keys: ['of no worth'] },
        scopes: ['openid', 'offline_access'],
        claims: { openid: ['sub'], email: ['email'] },
        findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.test` }) }),
        pkce: { required: () => true },
        rotateRefreshToken: true,
        ttl: { AccessToken: tokenSeconds, ClientCredentials: tokenSeconds, Session: 600, Interaction: 600, Grant: 600, RefreshToken: 600, DeviceCode: 60, IdToken: 600 },
        issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
        features: {
          clientCredentials: { enabled: true },
          devInteractions: { enabled: true },
          deviceFlow: { enabled: true },
          introspection: { enabled: true, allowedPolicy: (ctx, client) => client.clientId === INTROSPECTOR.client_id },
          registration: { enabled: registration },
          registrationManagement: { enabled: registration },
          revocation: { enabled: true, allowedPolicy: (ctx, client, token) => token.clientId === client.clientId },
          resourceIndicators: {
            enabled: true,
            useGrantedResource: () => false,
            getResourceServerInfo: (ctx, indicator) => {
              if (indicator !== resource.url) throw new Error(`unknown resource ${indicator}`);
              return { scope: 'mcp:read mcp:write', audience: indicator, accessTokenFormat: format, accessTokenTTL: tokenSeconds };
            },
          },
        },
      }),
  );

  const grants = new Seen(); // each token issued, by grant type
  const failures = new Seen();
  provider.on('grant.success', (ctx) => grants.push(ctx.oidc.params.grant_type));
  provider.on('grant.error', (ctx, error) => failures.push(`${error.error}: ${error.error_description}`));
  for (const event of ['authorization.error', 'server_error', 'registration_create.error']) {
    provider.on(event, (ctx, error) => failures.push(`${event} ${error.error}: ${error.error_description ?? error.message}`));
  }
  const registrations = new Seen();
  provider.on('registration_create.success', (ctx, client) => registrations.push(client.metadata()));
  const revocations = new Seen();
  for (const kind of ['access_token', 'refresh_token']) provider.on(`${kind}.destroyed`, () => revocations.push(kind));
  provider.on('grant.revoked', () => revocations.push('grant'));

  return {
    url: resource.url,
    issuer: authority.origin,
    requests,
    calls,
    grants,
    failures,
    registrations,
    revocations,
    /** The tokens that the MCP server accepted, each once. */
    tokens: () => [...new Set(calls.items.filter(({ status }) => status === 200).map(({ token }) => token))],
    /** From now on this access token is refused, long before its time. */
    async forget(token) {
      const found = (await provider.AccessToken.find(token)) ?? (await provider.ClientCredentials.find(token));
      await found.destroy();
    },
    async stop() {
      await resource.stop();
      await authority.stop();
    },
  };
}

/** What a person does with the provider's pages: signs in as `login`, agrees to everything. */
export const person = (login) => async (window, page) => {
  for (let pages = 0; pages < 10; pages++) {
    if (/name="prompt" value="login"/.test(page.text)) page = await window.submit(page, { login, password: 'any' });
    else if (/name="prompt" value="consent"/.test(page.text)) page = await window.submit(page);
    else if (/op\.deviceInputForm/.test(page.text)) page = await window.submit(page);
    else if (/forms\[0\]\.submit\(\)/.test(page.text)) page = await window.submit(page); // its script would
    else if (/op\.deviceConfirmForm/.test(page.text)) page = await window.submit(page);
    else return page;
  }
  throw new Error(`pages without end at ${page.url}`);
};
