// HTTP functions without further outputs are passed through to the handler, as a reverse proxy does.
import http from 'node:http';
import { HOST_VERSION } from './invoke.mjs';

const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);
// Replaced or set by the host, whatever the caller sent.
const OWN = new Set([
  'host',
  'x-azure-functions-hostversion',
  'x-azure-functions-invocationid',
  'x-ms-invocation-id',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
]);
const CONTENT = new Set(['content-type', 'content-length', 'content-encoding', 'content-language', 'content-disposition']);
const IDLE_LIMIT = 240_000;
const REFUSED_TRIES = 10;
// A request without a body is sent again when its connection is dropped; one with a body is not.
const DROPPED_TRIES = 40;

/** The handler's answer as a stream, or an error: then the invocation failed. */
export async function forward({ handler, request, headers, body, id, forwardedFor, signal }) {
  const streamed = body === null && request.headers['transfer-encoding'] !== undefined;
  const bodyless = !streamed && !body?.length;
  for (let tries = 1; ; tries += 1) {
    try {
      return await once({ handler, request, headers, body, streamed, id, forwardedFor, signal });
    } catch (error) {
      const refused = error.code === 'ECONNREFUSED' && tries < REFUSED_TRIES;
      const dropped = error.code === 'ECONNRESET' && bodyless && tries < DROPPED_TRIES;
      if (signal.aborted || !(refused || dropped)) throw error;
      await new Promise((done) => setTimeout(done, 50));
      await handler.ready;
    }
  }
}

function once({ handler, request, headers, body, streamed, id, forwardedFor, signal }) {
  const host = `127.0.0.1:${handler.port}`;
  const kept = headers.filter(([name]) => !HOP_BY_HOP.has(name.toLowerCase()) && !OWN.has(name.toLowerCase()));
  const isContent = ([name]) => CONTENT.has(name.toLowerCase());
  const sent = [
    ['Host', [host]],
    ...kept.filter((header) => !isContent(header)),
    ['X-Azure-Functions-HostVersion', [HOST_VERSION]],
    ['X-Azure-Functions-InvocationId', [id]],
    ['x-ms-invocation-id', [id]],
    ['X-Forwarded-For', [forwardedFor]],
    ['X-Forwarded-Host', [request.headers.host]],
    ['X-Forwarded-Proto', ['http']],
    ...kept.filter(isContent),
    ...(streamed ? [['Transfer-Encoding', ['chunked']]] : []),
  ];
  return new Promise((resolve, reject) => {
    const upstream = http.request({
      host: '127.0.0.1',
      port: handler.port,
      method: request.method,
      path: request.url.replace(/%2f/gi, (slash) => `%25${slash.slice(1)}`), // an encoded slash arrives encoded twice
      agent: false,
      signal, // a caller that gives up takes the handler's connection along
      headers: Object.fromEntries(sent.map(([name, values]) => [name, values.length === 1 ? values[0] : values])),
      timeout: IDLE_LIMIT,
    });
    upstream.removeHeader('connection');
    if (!streamed && !body) upstream.removeHeader('transfer-encoding');
    upstream.on('timeout', () => upstream.destroy(new Error('idle for too long')));
    upstream.on('error', reject);
    upstream.on('response', resolve);
    if (streamed) request.pipe(upstream);
    else upstream.end(body ?? undefined);
  });
}

/** Passes status, headers and body on; resolves when the body is through. */
export function relay(answer, response) {
  const headers = [];
  for (let at = 0; at < answer.rawHeaders.length; at += 2) {
    if (!HOP_BY_HOP.has(answer.rawHeaders[at].toLowerCase())) headers.push(answer.rawHeaders[at], answer.rawHeaders[at + 1]);
  }
  response.writeHead(answer.statusCode, headers);
  return new Promise((resolve, reject) => {
    answer.on('error', (error) => {
      response.destroy();
      reject(error);
    });
    response.on('close', resolve); // all sent, or the caller is gone
    answer.pipe(response);
  });
}
