// A token service and key service of the tests' own: what login.botframework.com and login.microsoftonline.com are to a bot.
import { constants, createHmac, generateKeyPairSync, randomUUID, sign as signBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { after } from 'node:test';

export const channelIssuer = 'https://api.botframework.com';
/** How Entra signs itself, in its old and its new kind of token. */
export const entraIssuer = { '1.0': (tid) => `https://sts.windows.net/${tid}/`, '2.0': (tid) => `https://login.microsoftonline.com/${tid}/v2.0` };

const open = new Set();
after(() => Promise.all([...open].map((close) => close())));

const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
const seconds = () => Math.floor(Date.now() / 1000);
const digest = (alg) => `sha${alg.slice(2)}`;
const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

/** A key as a service publishes it; without `endorsements` as Entra does, whose keys vouch for no channel. */
export function makeKey({ kid = randomUUID(), endorsements, service = 'channel', type = 'rsa', bits = 2048 } = {}) {
  const options = type === 'ec' ? { namedCurve: 'P-256' } : { modulusLength: bits };
  const { privateKey, publicKey } = generateKeyPairSync(type, options);
  const jwk = { ...publicKey.export({ format: 'jwk' }), use: 'sig', kid, x5t: kid, endorsements };
  return { kid, service, privateKey, publicKey, pem: publicKey.export({ format: 'pem', type: 'spki' }), jwk };
}

/** The signatures that a token may bear, and those that only a forger makes: of none, and with the public key as the secret. */
function signature(alg, { privateKey, pem }, data) {
  if (alg === 'none') return '';
  if (alg.startsWith('HS')) return createHmac(digest(alg), pem).update(data).digest('base64url');
  const how = { RS: {}, PS: pss, ES: { dsaEncoding: 'ieee-p1363' } }[alg.slice(0, 2)];
  return signBytes(digest(alg), Buffer.from(data), { key: privateKey, ...how }).toString('base64url');
}

/** A compact JWT. `header` overrides, `undefined` leaves out; claims given as text go in as they are. */
export function signWith(key, claims, { header = {}, alg = 'RS256' } = {}) {
  const head = typeof header === 'string' ? header : { alg, kid: key.kid, x5t: key.kid, typ: 'JWT', ...header };
  const data = `${base64url(head)}.${base64url(claims)}`;
  return `${data}.${signature(alg, key, data)}`;
}

/** What Entra says when a client proves itself; whoever knows the secret is that client. */
function issueToken(authority, tenant, form) {
  const client = form.get('client_id');
  const refusal = (error) => ({ status: 401, body: { error, error_description: `AADSTS: ${error}` } });
  if (form.get('grant_type') !== 'client_credentials') return { status: 400, body: { error: 'unsupported_grant_type' } };
  if (authority.secret && form.get('client_secret') !== authority.secret) return refusal('invalid_client');
  const aud = form.get('scope')?.replace(/\/\.default$/, '');
  const access_token = authority.entraToken({ aud }, { version: authority.tokenVersion, tenant, client });
  return { body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599, access_token } };
}

const openid = (issuer, base, keys, more) => ({
  issuer, jwks_uri: `${base}${keys}`, id_token_signing_alg_values_supported: ['RS256'], response_types_supported: ['token'],
  subject_types_supported: ['pairwise'], token_endpoint_auth_methods_supported: ['client_secret_post'], ...more,
});

/** Addresses as the two services have them; `base` is whatever name the caller knows this service by. */
function answer(authority, { method, path, base, body }) {
  const jwks = (service) => ({ keys: [...authority.keys.values()].filter((key) => key.service === service).map(({ jwk }) => jwk) });
  const [, tenant, rest] = /^\/([^/]+)\/(.*)$/.exec(path.split('?')[0]) ?? [];
  if (tenant === 'v1' && rest === '.well-known/openidconfiguration') return { body: openid(channelIssuer, base, '/v1/.well-known/keys') };
  if (tenant === 'v1' && rest === '.well-known/keys') return { body: jwks('channel') };
  if (/^discovery(\/v2\.0)?\/keys$/.test(rest)) return { body: jwks('entra') };
  if (rest === 'oauth2/v2.0/token' && method === 'POST') return issueToken(authority, tenant, new URLSearchParams(body));
  const [issuer, keys] = rest === '.well-known/openid-configuration'
    ? [entraIssuer['1.0'](tenant), `/${tenant}/discovery/keys`]
    : [entraIssuer['2.0'](tenant), `/${tenant}/discovery/v2.0/keys`];
  if (!rest?.endsWith('.well-known/openid-configuration')) return { status: 404, body: { error: 'not_found' } };
  const oauth = `${base}/${tenant}/oauth2/v2.0`;
  return { body: openid(issuer, base, keys, { token_endpoint: `${oauth}/token`, authorization_endpoint: `${oauth}/authorize` }) };
}

async function serve(authority, scheme, request, response) {
  let body = '';
  for await (const chunk of request.setEncoding('utf8')) body += chunk;
  const { method, url: path, headers } = request;
  const entry = { method, path, headers, body, base: `${scheme}://${headers.host}`, at: Date.now() };
  authority.requests.push(entry);
  entry.answer = (await authority.behaviour(entry)) ?? answer(authority, entry);
  const { status = 200, headers: more, body: content = {} } = entry.answer;
  const text = typeof content === 'string' ? content : JSON.stringify(content);
  response.writeHead(status, { 'content-type': 'application/json', ...more }).end(text);
}

/**
 * `keys` maps a name to a key: `channel` and `entra` are there, `addKey(name, …)` and `keys.delete(name)` change it.
 * `requests` holds what was asked, in order; `behave(fn)` answers `{status, headers, body}` in its place, or never.
 * With `tls: {key, cert}` it speaks https, with `port` it is where a client cannot be told another, with `secret` it insists on it.
 */
export async function startAuthority({ tenantId, appId, tls, port = 0, secret, tokenVersion = '1.0' }) {
  const authority = { keys: new Map(), requests: [], secret, tokenVersion, behaviour: () => undefined };
  authority.behave = (fn) => (authority.behaviour = fn);
  authority.addKey = (name, options) => authority.keys.set(name, makeKey(options)).get(name);
  authority.addKey('channel', { endorsements: ['msteams', 'skype'] });
  authority.addKey('entra', { service: 'entra' });
  /** `key` is a name of `keys`, or a key that nobody publishes. */
  authority.sign = (claims, { key = 'channel', ...how } = {}) => signWith(authority.keys.get(key) ?? key, claims, how);
  const times = () => ({ iat: seconds() - 5, nbf: seconds() - 5, exp: seconds() + 3600 });
  authority.channelToken = (overrides = {}, how) => authority.sign({ iss: channelIssuer, aud: appId, ...times(), ...overrides }, how);
  authority.entraToken = (overrides = {}, { version = '2.0', tenant = tenantId, client = appId, ...how } = {}) => {
    const caller = version === '1.0' ? { appid: client } : { azp: client };
    const claims = { aud: appId, iss: entraIssuer[version](tenant), tid: tenant, ver: version, ...caller, ...times(), ...overrides };
    return authority.sign(claims, { key: 'entra', ...how });
  };

  const handle = (request, response) =>
    serve(authority, tls ? 'https' : 'http', request, response).catch((error) => response.headersSent || response.writeHead(500).end(String(error)));
  const server = tls ? createTlsServer(tls, handle) : createServer(handle);
  await new Promise((resolve, reject) => server.on('error', reject).listen(port, '127.0.0.1', resolve));
  authority.port = server.address().port;
  authority.url = `${tls ? 'https' : 'http'}://127.0.0.1:${authority.port}`;
  authority.metadata = `${authority.url}/v1/.well-known/openidconfiguration`;
  authority.close = () => {
    open.delete(authority.close);
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  open.add(authority.close);
  return authority;
}
