// What the host reads from its folder: host.json with overrides from the environment, and the functions one level below.
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { nextOccurrence } from './timer.mjs';
import { parseRoute } from './routes.mjs';

const FUNCTION_NAME = /^[a-z][a-z0-9_-]{0,127}$/i;
const BINDING_NAME = /^([a-zA-Z][a-zA-Z0-9]{0,127}|\$return)$/;
const TRIGGERS = { httpTrigger: 'http', queueTrigger: 'queue', timerTrigger: 'timer' };
const OUTPUTS = ['http', 'queue'];

/** A .NET TimeSpan (`[d.]hh:mm:ss[.f]`) in milliseconds. */
export function timeSpan(text) {
  const parts = /^(?:(\d+)\.)?(\d\d?):(\d\d):(\d\d)(\.\d+)?$/.exec(text);
  if (!parts) throw new Error(`not a TimeSpan: ${text}`);
  const [, days = 0, hours, minutes, seconds, fraction = 0] = parts.map((part) => part ?? undefined);
  return (((days * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds) + Number(fraction)) * 1000;
}

/** `%X%` in a path or an argument: an unset variable stays as it is written. */
export const expandPath = (text, env) => text.replace(/%([^%]+)%/g, (whole, name) => env[name] ?? whole);

/** `%X%` in a binding: a missing setting puts the function in error. */
function expandSetting(text, env) {
  return text.replace(/%([^%]+)%/g, (_, name) => {
    if (env[name] === undefined) throw new Error(`'%${name}%' does not resolve to a value`);
    return env[name];
  });
}

/** Core Tools gives `Values` of local.settings.json to the handler; variables that exist win. */
export function withLocalSettings(scriptRoot, env) {
  const path = join(scriptRoot, 'local.settings.json');
  return existsSync(path) ? { ...JSON.parse(readFileSync(path, 'utf8')).Values, ...env } : { ...env };
}

/** host.json as an object; `AzureFunctionsJobHost__a__b=c` overrides what the file says, whatever the case of a and b. */
export function readHostJson(scriptRoot, env) {
  const host = JSON.parse(readFileSync(join(scriptRoot, 'host.json'), 'utf8'));
  for (const [name, value] of Object.entries(env)) {
    if (!/^AzureFunctionsJobHost__/i.test(name)) continue;
    const path = name.split('__').slice(1);
    let at = host;
    path.forEach((wanted, depth) => {
      const key = Object.keys(at).find((known) => known.toLowerCase() === wanted.toLowerCase()) ?? wanted;
      if (depth === path.length - 1) at[key] = value;
      else at = at[key] ??= {};
    });
  }
  return host;
}

const isTrue = (value) => value === true || /^true$/i.test(value ?? '');

/** A setting by its path; the host does not look at the case of names. */
const setting = (host, path) =>
  path.split('.').reduce((at, wanted) => {
    const key = Object.keys(at ?? {}).find((name) => name.toLowerCase() === wanted.toLowerCase());
    return key === undefined ? undefined : at[key];
  }, host);

/** The settings the host acts on, with its own defaults. */
export function hostSettings(host, env) {
  const queue = (name) => setting(host, `extensions.queues.${name}`);
  const batchSize = Number(queue('batchSize') ?? 16);
  const polling = env.AZURE_FUNCTIONS_ENVIRONMENT === 'Development' ? '00:00:02' : '00:01:00';
  const functionTimeout = setting(host, 'functionTimeout') ?? '00:30:00';
  return {
    description: setting(host, 'customHandler.description'),
    proxying: isTrue(setting(host, 'customHandler.enableProxyingHttpRequest')),
    initializationTimeout: timeSpan(setting(host, 'customHandler.initializationTimeout') ?? '00:00:30'),
    functionTimeout: functionTimeout === '-1' ? Infinity : timeSpan(functionTimeout),
    routePrefix: setting(host, 'extensions.http.routePrefix') ?? 'api',
    queues: {
      batchSize,
      newBatchThreshold: Number(queue('newBatchThreshold') ?? Math.ceil((batchSize / 2) * availableParallelism())),
      maxDequeueCount: Number(queue('maxDequeueCount') ?? 5),
      visibilityTimeout: timeSpan(queue('visibilityTimeout') ?? '00:00:00'),
      maxPollingInterval: timeSpan(queue('maxPollingInterval') ?? polling),
      base64: (queue('messageEncoding') ?? 'base64').toLowerCase() === 'base64',
    },
  };
}

/** Functions are direct children of the folder with host.json. One that is wrong is in error; the others run. */
export function discover(scriptRoot, host, env) {
  const functions = [];
  const errors = {};
  const folders = readdirSync(scriptRoot).filter(
    (name) => statSync(join(scriptRoot, name)).isDirectory() && existsSync(join(scriptRoot, name, 'function.json')),
  );
  const seen = new Set(folders.map((name) => name.toLowerCase()));
  if (seen.size !== folders.length) throw new Error('two function folders differ only in case: the real host goes down');
  for (const name of folders.sort()) {
    if (host.functions && !host.functions.includes(name)) continue;
    if (isTrue(env[`AzureWebJobs.${name}.Disabled`])) continue;
    try {
      functions.push(readFunction(name, JSON.parse(readFileSync(join(scriptRoot, name, 'function.json'), 'utf8')), env, functions));
    } catch (error) {
      errors[name] = error.message;
    }
  }
  return { functions, errors };
}

function readFunction(name, { bindings = [] }, env, known) {
  if (!FUNCTION_NAME.test(name) || name.toLowerCase() === 'host') throw new Error(`'${name}' is not a function name`);
  for (const binding of bindings) {
    if (!BINDING_NAME.test(binding.name ?? '')) throw new Error(`'${binding.name}' is not a binding name`);
    if (!(binding.type in TRIGGERS) && !OUTPUTS.includes(binding.type)) throw new Error(`unknown binding '${binding.type}'`);
    if (binding.direction !== (binding.type in TRIGGERS ? 'in' : 'out')) throw new Error(`wrong direction of '${binding.name}'`);
  }
  const triggers = bindings.filter(({ type }) => type in TRIGGERS);
  if (triggers.length !== 1) throw new Error(`${triggers.length} triggers`);
  const trigger = resolve(triggers[0], env);
  const outputs = bindings.filter(({ direction }) => direction === 'out').map((binding) => resolve(binding, env));
  const kind = TRIGGERS[trigger.type];
  const fn = { name, kind, trigger, outputs, queueOutputs: outputs.filter(({ type }) => type === 'queue') };
  if (kind === 'http') Object.assign(fn, httpPart(fn, known));
  return fn;
}

function resolve(binding, env) {
  if (binding.type === 'timerTrigger') {
    const schedule = expandSetting(binding.schedule, env);
    nextOccurrence(schedule, new Date());
    return { ...binding, schedule };
  }
  if (!binding.type.startsWith('queue')) return binding;
  const setting = expandSetting(binding.connection ?? 'AzureWebJobsStorage', env);
  if (!env[setting]) throw new Error(`connection '${setting}' is not set`);
  return { ...binding, queueName: expandSetting(binding.queueName, env).toLowerCase(), connectionString: env[setting] };
}

function httpPart({ name, trigger, outputs }, known) {
  const methods = trigger.methods?.map((method) => method.toUpperCase()) ?? null;
  const route = trigger.route ?? name;
  const taken = known.find(
    (other) =>
      other.kind === 'http' &&
      other.route.toLowerCase() === route.toLowerCase() &&
      (!methods || !other.methods || methods.some((method) => other.methods.includes(method))),
  );
  if (taken) throw new Error(`the route and method belong to ${taken.name}`);
  // Only a function with one trigger and one http output is passed through: any further output means the envelope.
  const proxied = outputs.length === 1 && outputs[0].type === 'http';
  return { route, segments: parseRoute(route), methods, authLevel: (trigger.authLevel ?? 'function').toLowerCase(), proxied };
}
