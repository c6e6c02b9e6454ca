// A custom handler for the tests of the stand-in host: it writes down what it gets (recorded.ndjson in its working directory)
// and does what a request's text says: `{"reply":{status,headers,body}}`, `{"exit":code}`, `{"drop":true}`, `{"wait":ms}`.
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';

const record = (entry) => appendFileSync('recorded.ndjson', `${JSON.stringify(entry)}\n`);
const names = Object.keys(process.env)
  .filter((name) => /^FUNCTIONS_/.test(name))
  .sort();
record({
  started: process.pid,
  argv: process.argv.slice(2),
  cwd: process.cwd(),
  environment: Object.fromEntries(names.map((name) => [name, process.env[name]])),
});

const pairs = (raw) => raw.flatMap((text, at) => (at % 2 ? [] : [[text, raw[at + 1]]]));

/** A JSON object from text, however often it is wrapped in JSON strings. */
function object(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'string' ? object(value) : (value ?? {});
  } catch {
    return {};
  }
}

function wish(target, body) {
  const { Data } = object(body);
  if (!Data) return object(body);
  const first = Object.values(Data)[0];
  return object(typeof first === 'string' ? first : (first?.Body ?? '{}'));
}

const server = createServer(async (request, response) => {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const body = Buffer.concat(chunks).toString('utf8');
  record({ method: request.method, target: request.url, headers: pairs(request.rawHeaders), body });
  const { reply = {}, exit, drop, wait } = wish(request.url, body);
  if (exit !== undefined) process.exit(exit);
  if (drop) return request.socket.destroy();
  if (wait) await new Promise((done) => setTimeout(done, wait));
  const {
    status = 200,
    headers = { 'Content-Type': 'application/json' },
    body: text = '{"Outputs":{},"Logs":[],"ReturnValue":null}',
  } = reply;
  response.writeHead(status, headers);
  return response.end(text);
});
server.listen(Number(process.env.FUNCTIONS_CUSTOMHANDLER_PORT), '127.0.0.1');
