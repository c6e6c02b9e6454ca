// The host's own HTTP side: routes, keys, the admin API.
import http from 'node:http';
import { findFunction } from './routes.mjs';

// The names the host knows, in the order and spelling in which it hands them on; others follow as they were sent.
const KNOWN = [
  'Accept',
  'Connection',
  'Host',
  'User-Agent',
  'Accept-Charset',
  'Accept-Encoding',
  'Accept-Language',
  'Authorization',
  'Cache-Control',
  'Content-Encoding',
  'Content-Language',
  'Content-Type',
  'Cookie',
  'Expect',
  'If-Match',
  'If-None-Match',
  'Origin',
  'Pragma',
  'Range',
  'Referer',
  'TE',
  'Transfer-Encoding',
  'Upgrade',
  'Content-Length',
];
const RANK = new Map(KNOWN.map((name, rank) => [name.toLowerCase(), { name, rank }]));

/** A request's headers as `[name, values][]`. */
export function hostHeaders(rawHeaders) {
  const found = new Map();
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const lower = rawHeaders[at].toLowerCase();
    const { name, rank } = RANK.get(lower) ?? { name: rawHeaders[at], rank: KNOWN.length };
    if (!found.has(lower)) found.set(lower, { name, rank, values: [] });
    found.get(lower).values.push(rawHeaders[at + 1]);
  }
  return [...found.values()].sort((one, other) => one.rank - other.rank).map(({ name, values }) => [name, values]);
}

/** The key that a request shows for a level, or null when it has none; the header wins over `?code=`. */
export function admit(keys, level, request, url) {
  const shown = request.headers['x-functions-key'] ?? url.searchParams.get('code');
  if (shown && shown === keys.master) return { level: 'Admin', id: 'master' };
  if (level === 'function' && shown && (shown === keys.function || shown === keys.host)) return { level: 'Function', id: 'default' };
  return null;
}

export async function readBody(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks);
}

const end = (response, status, json) => {
  const body = json === undefined ? '' : JSON.stringify(json);
  response.writeHead(status, {
    ...(body ? { 'Content-Type': 'application/json; charset=utf-8' } : {}),
    'Content-Length': Buffer.byteLength(body),
  });
  response.end(body);
};

/** Listens on loopback. `host` is the running host: `call(fn, …)`, `admin(fn, input)`, `status()`. */
export async function listen(host, port) {
  const server = http.createServer((request, response) => {
    answer(host, request, response).catch((error) => {
      host.log('error', `${request.method} ${request.url}: ${error.message}`);
      if (!response.headersSent)
        end(response, 500); // no detail ever reaches the caller
      else response.destroy();
    });
  });
  await new Promise((done, failed) => {
    server.once('error', failed);
    server.listen(port, '127.0.0.1', done);
  });
  return server;
}

async function answer(host, request, response) {
  const url = new URL(request.url, `http://${request.headers.host}`);
  if (url.pathname === '/') return end(response, 200);
  if (url.pathname.startsWith('/admin/')) return admin(host, request, response, url);
  const found = findFunction(host.functions, host.settings.routePrefix, request.method, url.pathname);
  if (!found) {
    request.resume();
    return end(response, 404);
  }
  const { fn, params } = found;
  const key = fn.authLevel === 'anonymous' ? null : admit(host.keys, fn.authLevel, request, url);
  if (!key && fn.authLevel !== 'anonymous') {
    request.resume();
    return end(response, 401);
  }
  // Only a length makes the host read the body; what comes chunked is passed through or, for an envelope, lost.
  const body = Number(request.headers['content-length'] ?? 0) > 0 ? await readBody(request) : null;
  return host.call(fn, { request, response, params, key, body, headers: hostHeaders(request.rawHeaders), url: url.href });
}

async function admin(host, request, response, url) {
  const body = await readBody(request);
  if (!admit(host.keys, 'admin', request, url)) return end(response, 401);
  const [, , area, name, rest] = url.pathname.split('/');
  if (area === 'host' && name === 'ping') return end(response, 200);
  if (area === 'host' && name === 'status' && request.method === 'GET') return end(response, 200, host.status());
  if (area !== 'functions') return end(response, 404);
  if (!name && request.method === 'GET')
    return end(
      response,
      200,
      host.functions.map((fn) => ({ name: fn.name })),
    );
  const fn = host.functions.find((known) => known.name.toLowerCase() === name?.toLowerCase());
  if (!fn || rest || request.method !== 'POST') return end(response, 404);
  if (!body.length && !request.headers['content-type']) return end(response, 415);
  const input = adminInput(body);
  if (input === null) return end(response, 400);
  host.admin(fn, input);
  return end(response, 202);
}

/** The input of an admin call, '' where there is none, null where it is wrong. */
function adminInput(body) {
  try {
    const { input = '' } = JSON.parse(body.toString('utf8'));
    return typeof input === 'string' ? input : null;
  } catch {
    return null;
  }
}
