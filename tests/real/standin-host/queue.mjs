// Storage queues as the host's extension uses them: fetching, retry, poison; and the writing of outputs.
import { QueueServiceClient } from '@azure/storage-queue';

// Ten minutes from the fetch, as the real host: it renews that every five, which nothing here runs long enough to need.
const FETCHED_FOR_SECONDS = 600;
const MIN_POLLING_INTERVAL = 100;

const gone = (error) => error.statusCode === 404;

/** A queue client for a connection string, with the wire encoding of host.json. */
export function openQueue(connectionString, name, { base64 }) {
  const client = QueueServiceClient.fromConnectionString(connectionString).getQueueClient(name);
  return {
    client,
    /** Puts bytes, and creates the queue when it is not there. */
    async put(bytes) {
      await putRaw(client, bytes.toString(base64 ? 'base64' : 'utf8'));
    },
  };
}

async function putRaw(client, text) {
  try {
    await client.sendMessage(text);
  } catch (error) {
    if (!gone(error)) throw error;
    await client.createIfNotExists();
    await client.sendMessage(text);
  }
}

/** The bytes of a message on the wire, or null where it is not valid base64. */
function decodeWire(text, base64) {
  if (!base64) return Buffer.from(text);
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : null;
}

export class QueueListener {
  /** What an empty queue is waited for at present, in ms. */
  interval = 0;
  running = 0;
  #stopped = false;
  #wake = () => {};
  #room = () => {};

  /** `run(bytes, message)` resolves when the invocation succeeded. */
  constructor({ fn, settings, log, run }) {
    Object.assign(this, { fn, settings, log, run });
    this.client = openQueue(fn.trigger.connectionString, fn.trigger.queueName, settings).client;
    const service = QueueServiceClient.fromConnectionString(fn.trigger.connectionString);
    const isPoison = fn.trigger.queueName.endsWith('-poison');
    this.poison = isPoison ? null : service.getQueueClient(`${fn.trigger.queueName}-poison`);
    this.#loop();
  }

  get idle() {
    return this.running === 0 && this.interval >= this.settings.maxPollingInterval;
  }

  stop() {
    this.#stopped = true;
    this.#wake();
    this.#room();
  }

  async #loop() {
    let empty = 0;
    while (!this.#stopped) {
      const messages = await this.#fetch();
      for (const message of messages) {
        this.running += 1;
        this.#process(message)
          .catch((error) => this.log('error', `${this.fn.name}: ${error.message}`))
          .finally(() => {
            this.running -= 1;
            if (this.running <= this.settings.newBatchThreshold) this.#room();
          });
      }
      if (messages.length) {
        empty = 0;
        this.interval = 0;
        // Fetches again as soon as few enough are running: so up to batchSize + newBatchThreshold run at once.
        while (!this.#stopped && this.running > this.settings.newBatchThreshold)
          await new Promise((done) => {
            this.#room = done;
          });
      } else {
        this.#backOff(empty);
        empty += 1;
        await this.#pause(this.interval);
      }
    }
  }

  async #fetch() {
    try {
      const { batchSize } = this.settings;
      const received = await this.client.receiveMessages({ numberOfMessages: batchSize, visibilityTimeout: FETCHED_FOR_SECONDS });
      return received.receivedMessageItems;
    } catch (error) {
      if (!gone(error) && !this.#stopped) this.log('error', `${this.fn.name}: cannot fetch: ${error.message}`);
      return []; // a queue that is missing is waited for, not created
    }
  }

  #backOff(empty) {
    const { maxPollingInterval } = this.settings;
    const step = empty === 0 ? 0 : MIN_POLLING_INTERVAL * (0.8 + 0.4 * Math.random()) * (2 ** Math.min(empty, 16) - 1);
    this.interval = Math.min(MIN_POLLING_INTERVAL + step, maxPollingInterval);
  }

  #pause(ms) {
    return new Promise((done) => {
      const timer = setTimeout(done, ms);
      this.#wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }

  async #process(message) {
    const { maxDequeueCount, base64 } = this.settings;
    const bytes = decodeWire(message.messageText, base64);
    if (bytes === null || message.dequeueCount > maxDequeueCount) return this.#toPoison(message);
    try {
      await this.run(bytes, message);
    } catch {
      if (this.#stopped) return undefined;
      if (message.dequeueCount >= maxDequeueCount) return this.#toPoison(message);
      const seconds = Math.floor(this.settings.visibilityTimeout / 1000);
      return this.client.updateMessage(message.messageId, message.popReceipt, undefined, seconds);
    }
    return this.client.deleteMessage(message.messageId, message.popReceipt);
  }

  async #toPoison(message) {
    if (!this.poison) return;
    await putRaw(this.poison, message.messageText);
    await this.client.deleteMessage(message.messageId, message.popReceipt);
  }
}
