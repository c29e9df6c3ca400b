// How keyferry is told of the credentials that a scenario gives its client: by flags, with every
// secret in a file or in the environment.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CLIENT_METADATA_URL } from './scenarios.js';

const SECRET = ['--secret-env', 'CONFORMANCE_SECRET'];

/** `{ flags, env }` for the scenario with this context; files go into the directory `where`. */
export function credentials(scenario, context, where) {
  const file = (name, content) => {
    const path = join(where, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  };
  const client = ['--client-id', context.client_id];
  const env = { CONFORMANCE_SECRET: context.client_secret };
  switch (scenario) {
    case 'auth/client-credentials-basic':
      return { flags: ['--with', 'client-credentials', ...client, ...SECRET], env };
    case 'auth/client-credentials-jwt': {
      const key = ['--private-key', file('key.pem', context.private_key_pem), '--alg', context.signing_algorithm];
      return { flags: ['--with', 'client-credentials', ...client, ...key], env: {} };
    }
    case 'auth/wif-jwt-bearer': {
      const assertion = ['--assertion-file', file('assertion.jwt', context.valid_jwt)];
      return { flags: ['--with', 'jwt-bearer', ...client, ...assertion], env: {} };
    }
    case 'auth/enterprise-managed-authorization':
    case 'auth/cross-app-access-complete-flow': {
      const idp = ['--idp-issuer', context.idp_issuer, '--idp-client-id', context.idp_client_id];
      const endpoint = ['--idp-token-endpoint', context.idp_token_endpoint];
      const token = ['--id-token-file', file('id-token.jwt', context.idp_id_token)];
      return { flags: ['--with', 'enterprise', ...client, ...SECRET, ...idp, ...endpoint, ...token], env };
    }
  }
  const flags = scenario.startsWith('auth/') ? ['--client-metadata-url', CLIENT_METADATA_URL] : [];
  if (!context.client_id) return { flags, env: {} };
  return { flags: [...flags, ...client, ...SECRET], env };
}
