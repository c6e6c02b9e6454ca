// What is refused when Herald is called through the Functions host, and by whom.
import assert from 'node:assert/strict';
import { ask } from './fixtures.mjs';
import { KEY } from './scene.mjs';

/** A wrong method and an unknown route are the host's own empty 404. */
export async function assertWrongMethods(scene) {
  for (const [method, path] of [
    ['GET', '/api/messages'],
    ['PUT', '/api/messages'],
    ['POST', '/api/health'],
    ['GET', '/api/unknown'],
  ]) {
    const answer = await scene.api(path, { method });
    assert.deepEqual([answer.status, await answer.text()], [404, ''], `${method} ${path} is answered by the host alone`);
  }
}

/** A wrong key is the host's 401; the rest are Herald's problem documents, out of an envelope. */
export async function assertRefusals(scene) {
  const url = `${scene.host.url}/api/notifications`;
  const headers = { 'x-functions-key': KEY, 'Content-Type': 'application/json' };
  const body = JSON.stringify({ content: { text: 'x' }, audience: { all: true } });
  const chunked = await ask(url, { method: 'POST', headers, chunks: [body] });
  assert.equal(chunked.status, 411, `a chunked request: ${chunked.text}`);
  assert.match(chunked.headers['content-type'], /^application\/problem\+json/, 'the refusal is a problem document');
  assert.match(chunked.text, /Content-Length/, 'and says what to do');
  const unknown = await ask(url, { method: 'POST', headers, body: body.replace('{', '{"colour":"red",') });
  assert.ok([400, 422].includes(unknown.status), `an unknown field: ${unknown.status} ${unknown.text}`);
  assert.match(unknown.headers['content-type'], /^application\/problem\+json/, 'the refusal is a problem document');
  assert.match(unknown.text, /colour/, 'and names the field');
  for (const wrong of [{}, { 'x-functions-key': 'wrong' }]) {
    const answer = await ask(url, { method: 'POST', headers: { 'Content-Type': 'application/json', ...wrong }, body });
    assert.deepEqual([answer.status, answer.text], [401, ''], `the key ${JSON.stringify(wrong)}`);
  }
}
