// Certificates of a test: private authorities, and what they sign, made with the openssl program.
import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const AUTHORITY = `[ca]
default_ca = here
[here]
database = index.txt
serial = serial
new_certs_dir = .
default_md = sha256
policy = subject
unique_subject = no
[subject]
organizationName = optional
commonName = supplied
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = IP:127.0.0.1, DNS:localhost
extendedKeyUsage = serverAuth
[client]
basicConstraints = critical, CA:FALSE
extendedKeyUsage = clientAuth
`;
const DAY_MS = 86_400_000;

const openssl = (cwd, ...args) => execFileSync('openssl', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
/** As `openssl ca` wants it: YYYYMMDDHHMMSSZ. */
const time = (daysFromNow) => `${new Date(Date.now() + daysFromNow * DAY_MS).toISOString().replace(/\D/g, '').slice(0, 14)}Z`;

const pairs = {
  ec: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  rsa: () => generateKeyPairSync('rsa', { modulusLength: 2048 }),
  ed25519: () => generateKeyPairSync('ed25519'),
};

/** A private key file, PKCS#8 PEM, for its owner only; with a `passphrase` encrypted (PBES2). Also gives the public key. */
export function privateKey(path, { kind = 'ec', passphrase } = {}) {
  const { privateKey, publicKey } = pairs[kind]();
  const sealed = passphrase && { cipher: 'aes-256-cbc', passphrase };
  writeFileSync(path, privateKey.export({ type: 'pkcs8', format: 'pem', ...sealed }), { mode: 0o600 });
  return { path, publicKey, pem: privateKey.export({ type: 'pkcs8', format: 'pem' }) };
}

/** The lines of a PEM text that would give a key away. */
export const keyLines = (pem) => pem.split('\n').filter((line) => line.length > 30 && !line.startsWith('-----'));

/** An authority of its own in a directory below `where`; `ca` is its certificate. */
export function authority(where, name) {
  const home = join(where, name);
  mkdirSync(home);
  writeFileSync(join(home, 'ca.cnf'), AUTHORITY);
  writeFileSync(join(home, 'index.txt'), '');
  writeFileSync(join(home, 'serial'), '1000\n');
  privateKey(join(home, 'ca.key'));
  const root = ['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'];
  writeFileSync(join(home, 'req.cnf'), '[req]\ndistinguished_name = dn\n[dn]\n');
  const config = ['-config', 'req.cnf'];
  openssl(home, 'req', '-x509', ...config, '-new', '-key', 'ca.key', '-subj', `/CN=${name}`, '-days', '2', ...root, '-out', 'ca.pem');

  /** Files of a new key and its certificate; `expired` since yesterday, `as` a 'client' or a 'server'. */
  function issue(commonName, { as = 'client', kind, passphrase, expired = false, organization } = {}) {
    const key = join(home, `${commonName}.key`);
    const cert = join(home, `${commonName}.pem`);
    const { pem } = privateKey(key, { kind, passphrase });
    const subject = `${organization ? `/O=${organization}` : ''}/CN=${commonName}`;
    const unlock = passphrase ? ['-passin', `pass:${passphrase}`] : [];
    openssl(home, 'req', ...config, '-new', '-key', key, ...unlock, '-subj', subject, '-out', 'request.csr');
    const dates = ['-startdate', time(-10), '-enddate', time(expired ? -1 : 1)];
    const signer = ['-keyfile', 'ca.key', '-cert', 'ca.pem', '-extensions', as];
    openssl(home, 'ca', '-batch', '-notext', '-config', 'ca.cnf', ...signer, ...dates, '-in', 'request.csr', '-out', cert);
    return { key, cert, pem };
  }

  return { ca: join(home, 'ca.pem'), issue };
}

/** The same certificate and key as a PKCS#12 file. */
export function pkcs12({ key, cert }, path, password) {
  openssl('.', 'pkcs12', '-export', '-in', cert, '-inkey', key, '-passout', `pass:${password}`, '-out', path);
  return path;
}

/** The same key in its older form: PKCS#1 for RSA, SEC 1 for EC. */
export function traditional(pem, path) {
  const key = createPrivateKey(pem);
  const type = key.asymmetricKeyType === 'rsa' ? 'pkcs1' : 'sec1';
  writeFileSync(path, key.export({ type, format: 'pem' }), { mode: 0o600 });
  return path;
}
