// What the host makes of the handler's answer: the reply rules, and the decoding of outputs.
import { rewriteDate } from './envelope.mjs';

/** The host never learns that such an invocation ended: it hangs until its time is over. */
export const HANG = Symbol('hang');

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

/** An answer to `POST /<Function>`: `{outputs, logs, returnValue}`, `HANG`, or an error, which fails the invocation. */
export function judgeReply(status, contentType, body) {
  if (status < 200 || status > 299) throw new Error(`the handler answered ${status}`); // whatever it says is dropped
  if (body.trim() === '' || body.trim() === 'null') return HANG;
  if (!/^(application|text)\/json\s*(;|$)/i.test(contentType ?? '')) throw new Error(`content type '${contentType ?? ''}' is not JSON`);
  const reply = JSON.parse(body);
  if (!isObject(reply)) throw new Error('the answer is no JSON object');
  const { Outputs = null, Logs = null, ReturnValue = null } = reply;
  if (Outputs !== null && !isObject(Outputs)) throw new Error('Outputs is no object');
  if (Logs !== null && !Array.isArray(Logs)) throw new Error('Logs is no array');
  return { outputs: Outputs ?? {}, logs: Logs ?? [], returnValue: ReturnValue };
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

function element(value) {
  if (value === null) return '';
  if (typeof value === 'string') return rewriteDate(value);
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return typeof value === 'object' ? indented(value) : String(value);
}

const indented = (value) => JSON.stringify(value, (_, inner) => (typeof inner === 'string' ? normalDate(inner) : inner), 2);

/** Dates inside an object come back as dates, in .NET's words. */
function normalDate(text) {
  if (rewriteDate(text) === text || text.endsWith('Z')) return text;
  return new Date(text).toISOString().replace(/(\.000)?Z$/, '+00:00');
}

/** The messages that a value under `Outputs.<queue binding>` becomes. Only an array of strings goes through as it is. */
export function queueMessages(value, { dataType } = {}) {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) return value.map((item) => Buffer.from(element(item)));
  if (typeof value !== 'string') return [Buffer.from(element(value))];
  const bare = value.replace(/\s/g, '');
  if (dataType !== 'binary' && base64.test(bare)) return [Buffer.from(bare, 'base64')];
  const trimmed = value.trim();
  if (/^\{[^]*\}$/.test(trimmed)) return [Buffer.from(indented(JSON.parse(trimmed)))];
  if (/^\[[^]*\]$/.test(trimmed)) return JSON.parse(trimmed).map((item) => Buffer.from(element(item)));
  return [Buffer.from(value)];
}

/** The answer that `Outputs.res` gives the caller; an error gives 500 without a word. */
export function httpAnswer(value) {
  if (value === undefined || value === null) return { status: 200, headers: {}, body: '' };
  const { statusCode = 200, headers = {}, body = '' } = isObject(value) ? value : { body: value };
  const status = Number(statusCode);
  if (!Number.isInteger(status) || status < 100 || status > 599) throw new Error(`statusCode ${statusCode}`);
  for (const [name, text] of Object.entries(headers ?? {})) {
    if (typeof text !== 'string' && typeof text !== 'number') throw new Error(`header ${name} is neither string nor number`);
  }
  const typed = Object.keys(headers ?? {}).some((name) => name.toLowerCase() === 'content-type');
  return {
    status,
    headers: { ...(typed ? {} : { 'Content-Type': 'text/plain; charset=utf-8' }), ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}
