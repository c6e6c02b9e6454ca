// The host's record of every invocation, and the writing of what a successful one puts out.
import { randomUUID } from 'node:crypto';
import { queueMessages } from './outputs.mjs';
import { openQueue } from './queue.mjs';

export class Invocations {
  /** `{name, id, trigger, dequeueCount, messageId, text, startedAt, endedAt, outcome, reason, outputs}`, oldest first. */
  all = [];
  #queues = new Map();

  constructor({ settings, log, onInvocation }) {
    Object.assign(this, { settings, log, onInvocation });
  }

  begin(fn, trigger, more = {}) {
    const record = {
      name: fn.name,
      id: randomUUID(),
      trigger,
      startedAt: Date.now(),
      endedAt: null,
      outcome: null,
      reason: null,
      outputs: {},
      ...more,
    };
    this.all.push(record);
    return record;
  }

  /** One invocation, on record whatever becomes of it. `work` gives the handler's judged answer, or nothing when it was passed through. */
  async settle(fn, record, work) {
    try {
      const verdict = await this.onInvocation?.(fn.name, record);
      const result = await work();
      if (verdict === 'discard') throw new Error('answer discarded');
      if (result) await this.#putOut(fn, record, result);
      for (const line of result?.logs ?? []) this.log('info', `${fn.name}: ${line}`);
      record.outcome = 'succeeded';
      return result;
    } catch (error) {
      record.outcome = 'failed';
      record.reason = error.message;
      this.log('error', `Executed 'Functions.${fn.name}' (Failed, Id=${record.id}): ${error.message}`);
      throw error;
    } finally {
      record.endedAt = Date.now();
    }
  }

  /** One message after another, no transaction: what went out before a failure stays out. Unknown names are dropped. */
  async #putOut(fn, record, { outputs, returnValue }) {
    for (const binding of fn.queueOutputs) {
      const value = binding.name === '$return' ? returnValue : outputs[binding.name];
      for (const bytes of queueMessages(value, binding)) {
        await this.#queue(binding).put(bytes);
        (record.outputs[binding.name] ??= []).push(bytes.toString('utf8'));
      }
    }
  }

  #queue({ connectionString, queueName }) {
    const key = `${connectionString} ${queueName}`;
    if (!this.#queues.has(key)) this.#queues.set(key, openQueue(connectionString, queueName, this.settings.queues));
    return this.#queues.get(key);
  }
}
