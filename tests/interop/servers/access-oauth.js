// An MCP server (SDK v1) that wants OAuth itself, made to stand behind Access. Its authorization
// server is oidc-provider: on the same origin, so that its metadata, registration and tokens are
// behind Access as well, or elsewhere, where Access has no say.
import { Seen } from '../support/waiting.js';
import { json, listen, listenFetch } from './http.js';
import { membersV1 } from './members.js';

const WELL_KNOWN = '/.well-known/oauth-protected-resource/mcp';

/** It warns of its development pages and keys, which are meant for this. */
async function startProvider(issuer, configuration) {
  const { warn, info } = console;
  console.warn = console.info = () => {};
  const { Provider } = await import('oidc-provider');
  const provider = new Provider(issuer, configuration);
  Object.assign(console, { warn, info });
  return provider;
}

/**
 * `edge` is what the world reaches it by. `elsewhere`: its authorization server has an origin of its
 * own. `tokenSeconds`: how long an access token lives.
 */
export async function startOAuthBehind(edge, { elsewhere = false, tokenSeconds = 3600 } = {}) {
  const asked = new Seen(); // of the authorization server: { method, path, headers }
  const grants = new Seen();
  const failures = new Seen();
  let provider;

  const authority = await listen(async (request, response) => {
    asked.push({ method: request.method, path: request.url.split('?')[0], headers: request.headers });
    await provider.callback()(request, response);
  });
  const issuer = elsewhere ? authority.origin : edge.origin;

  const members = membersV1();
  const resource = await listenFetch(async (request) => {
    if (new URL(request.url).pathname === WELL_KNOWN) {
      return json({ resource: edge.url, authorization_servers: [issuer], scopes_supported: ['mcp:read'] });
    }
    const shown = /^Bearer (.+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
    const token = shown && (await provider.AccessToken.find(shown));
    if (!token) {
      const challenge = `Bearer ${shown ? 'error="invalid_token", ' : ''}scope="mcp:read", resource_metadata="${edge.origin}${WELL_KNOWN}"`;
      return json({ error: 'unauthorized' }, 401, { 'www-authenticate': challenge });
    }
    return members(request, { token: shown, clientId: token.clientId, scopes: [...token.scopes], identity: token.accountId });
  });
  edge.protect((path) => (path === '/mcp' || path === WELL_KNOWN ? resource.origin : authority.origin));

  provider = await startProvider(issuer, {
    cookies: { keys: ['of no worth'] },
    scopes: ['openid', 'offline_access'],
    findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: () => true,
    ttl: { AccessToken: tokenSeconds, Session: 600, Interaction: 600, Grant: 600, RefreshToken: 600, IdToken: 600 },
    features: {
      registration: { enabled: true },
      dPoP: { enabled: false }, // the MCP server takes bearer tokens
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => false,
        getResourceServerInfo: (ctx, indicator) => ({ scope: 'mcp:read', audience: indicator, accessTokenFormat: 'opaque', accessTokenTTL: tokenSeconds }),
      },
    },
  });
  provider.on('grant.success', (ctx) => grants.push(ctx.oidc.params.grant_type));
  provider.on('grant.error', (ctx, error) => failures.push(`${error.error}: ${error.error_description}`));

  return {
    issuer,
    asked,
    grants,
    failures,
    async stop() {
      await resource.stop();
      await authority.stop();
    },
  };
}
