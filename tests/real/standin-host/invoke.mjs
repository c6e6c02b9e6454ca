// One `POST /<Function>` to the handler, as the host sends it: chunked, with its own headers, under functionTimeout.
import http from 'node:http';
import { HANG, judgeReply } from './outputs.mjs';

export const HOST_VERSION = '4.1037.0.0';

/** Fails with `TimeoutError` and has the process killed when `work` outlasts functionTimeout. */
export async function underTimeout(handler, settings, work) {
  const { functionTimeout } = settings;
  if (functionTimeout === Infinity) return work;
  let timer;
  const expiry = new Promise((_, reject) => {
    timer = setTimeout(() => {
      handler.killForTimeout();
      reject(Object.assign(new Error(`functionTimeout of ${functionTimeout} ms is over`), { name: 'TimeoutError' }));
    }, functionTimeout);
  });
  try {
    return await Promise.race([work, expiry]);
  } finally {
    clearTimeout(timer);
  }
}

/** The handler's judged answer. Waits for readiness; an answer that the host does not take for one is waited on for ever. */
export async function invoke(handler, fn, id, envelope) {
  await handler.ready;
  const { status, contentType, body } = await post(handler.port, fn.name, id, JSON.stringify(envelope));
  const reply = judgeReply(status, contentType, body);
  return reply === HANG ? new Promise(() => {}) : reply;
}

function post(port, name, id, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({
      host: '127.0.0.1',
      port,
      path: `/${name}`,
      method: 'POST',
      agent: false,
      headers: {
        Host: `127.0.0.1:${port}`,
        'X-Azure-Functions-HostVersion': HOST_VERSION,
        'X-Azure-Functions-InvocationId': id,
        'User-Agent': `Azure-Functions-Host/${HOST_VERSION}`,
        'Transfer-Encoding': 'chunked',
        'Content-Type': 'application/json; charset=utf-8',
      },
    });
    request.removeHeader('connection'); // the host names none
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks = [];
      response.on('data', (chunk) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({
          status: response.statusCode,
          contentType: response.headers['content-type'],
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    request.end(body);
  });
}
