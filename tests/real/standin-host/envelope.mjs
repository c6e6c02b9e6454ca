// What the host puts into the body of `POST /<Function>`: `{"Data":{…},"Metadata":{…}}`, with its own odd encodings.
import { randomUUID } from 'node:crypto';

/** Strings and numbers travel as a JSON string that holds their JSON text. */
export const encode = (value) => JSON.stringify(value);

const seconds = (date) => date.toISOString().replace(/\.\d+Z$/, '+00:00');
const sys = (fn) => ({ MethodName: fn.name, UtcNow: new Date().toISOString().replace('Z', '6172Z'), RandGuid: randomUUID() });

const ISO_DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?$/;

/** The host's JSON reader takes text that looks like a date for one and writes it back in its own way. */
export function rewriteDate(text) {
  if (!ISO_DATE.test(text) || Number.isNaN(Date.parse(text))) return text;
  const [date, time] = new Date(text).toISOString().slice(0, 19).split('T');
  const [year, month, day] = date.split('-');
  return `${month}/${day}/${year} ${time}`;
}

function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return value && typeof value === 'object' && !Array.isArray(value) ? value : {};
  } catch {
    return {};
  }
}

/** A JSON object's top-level properties leak into the metadata, over names that are there, whatever their case. */
function leak(metadata, text) {
  for (const [name, value] of Object.entries(parseObject(text))) {
    if (value === null || Array.isArray(value)) continue;
    const known = Object.keys(metadata).find((key) => key.toLowerCase() === name.toLowerCase()) ?? name;
    if (typeof value === 'object') metadata[known] = value;
    else metadata[known] = encode(typeof value === 'boolean' ? (value ? 'True' : 'False') : rewriteDate(String(value)));
  }
}

/** A queue message. Without `received` it came through the admin API. */
export function queueEnvelope(fn, bytes, received = null) {
  const { name, dataType } = fn.trigger;
  const binary = dataType === 'binary';
  const text = bytes.toString('utf8');
  const data = binary ? bytes.toString('base64') : encode(text);
  const metadata = received
    ? {
        DequeueCount: String(received.dequeueCount),
        ExpirationTime: seconds(received.expiresOn),
        Id: encode(received.messageId),
        InsertionTime: seconds(received.insertedOn),
        NextVisibleTime: seconds(received.nextVisibleOn),
        PopReceipt: encode(received.popReceipt),
      }
    : {
        DequeueCount: '0',
        ExpirationTime: '9999-12-31T23:59:59+00:00',
        InsertionTime: seconds(new Date()),
        NextVisibleTime: '9999-12-31T23:59:59+00:00',
        [name]: data,
      };
  metadata.sys = sys(fn);
  if (!binary) leak(metadata, text);
  return { Data: { [name]: data }, Metadata: metadata };
}

/** A timer run; `input` is there when it came through the admin API. */
export function timerEnvelope(fn, data, input) {
  const { name } = fn.trigger;
  return { Data: { [name]: data }, Metadata: { ...(input === undefined ? {} : { [name]: encode(input) }), sys: sys(fn) } };
}

const CLAIMS = 'http://schemas.microsoft.com/2017/07/functions/claims/';
const claim = (type, value) => ({
  Issuer: 'LOCAL AUTHORITY',
  OriginalIssuer: 'LOCAL AUTHORITY',
  Properties: {},
  Type: CLAIMS + type,
  Value: value,
  ValueType: 'http://www.w3.org/2001/XMLSchema#string',
});

function identity(key) {
  return {
    AuthenticationType: key ? 'WebJobsAuthLevel' : null,
    IsAuthenticated: Boolean(key),
    Actor: null,
    BootstrapContext: null,
    Claims: key ? [claim('authlevel', key.level), claim('invoke', 'true'), claim('keyid', key.id)] : [],
    Label: null,
    Name: null,
    NameClaimType: 'http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name',
    RoleClaimType: 'http://schemas.microsoft.com/ws/2008/06/identity/claims/role',
  };
}

const isBinary = (contentType) => /^(application\/octet-stream|multipart\/)/i.test(contentType);

/**
 * An HTTP request to a function that has further outputs. `headers` is `[name, values][]`; `body` is null unless the
 * caller sent a Content-Length above zero. The key travels along; only the metadata leave `code` out.
 */
export function httpEnvelope(fn, { method, url, headers, params, key, body }) {
  const pairs = [...new URL(url).searchParams];
  const joined = {};
  const last = {};
  for (const [name, value] of pairs) {
    joined[name] = name in joined ? `${joined[name]},${value}` : value;
    last[name] = value;
  }
  const contentType = headers.find(([name]) => name === 'Content-Type')?.[1][0] ?? '';
  const text = body && !isBinary(contentType) ? body.toString('utf8') : null;
  const metadata = {};
  if (text) leak(metadata, text);
  for (const [name, value] of Object.entries(last)) if (name !== 'code') metadata[name] = encode(value);
  for (const [name, value] of Object.entries(params)) if (value !== null) metadata[name] = encode(value);
  metadata.Query = last;
  metadata.Headers = Object.fromEntries(headers.map(([name, values]) => [name, values.at(-1)]));
  metadata.sys = sys(fn);
  const req = {
    Url: url,
    Method: method,
    Query: joined,
    Headers: Object.fromEntries(headers),
    Params: params,
    Identities: [identity(key)],
  };
  if (body) req.Body = text ?? body.toString('base64');
  return { Data: { [fn.trigger.name]: req }, Metadata: metadata };
}
