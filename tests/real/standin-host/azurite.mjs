// The queue service of the tests: Azurite, in memory, on a port of its own.
import { QueueServiceClient } from '@azure/storage-queue';
import { fileURLToPath } from 'node:url';
import { startProgram, temporaryFolder } from '../herald.mjs';

const program = fileURLToPath(new URL('../node_modules/.bin/azurite-queue', import.meta.url));
// The emulator's account and key, the same everywhere and published with it.
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

/** Starts it: `connectionString`, and `queue(name)` with the wire's own texts. */
export async function startAzurite() {
  const args = [
    '--queueHost',
    '127.0.0.1',
    '--queuePort',
    '0',
    '--inMemoryPersistence',
    '--skipApiVersionCheck',
    '--disableTelemetry',
    '--silent',
  ];
  const { match, ...running } = await startProgram(program, args, { cwd: temporaryFolder(), ready: /listens on (http:\/\/\S+)/ });
  const connectionString = `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};QueueEndpoint=${match[1]}/${ACCOUNT};`;
  const service = QueueServiceClient.fromConnectionString(connectionString);
  const queue = (name) => {
    const client = service.getQueueClient(name);
    const orAbsent = (absent) => (error) => {
      if (error.statusCode === 404) return absent;
      throw error;
    };
    return {
      create: () => client.createIfNotExists(),
      put: (text) => client.sendMessage(text),
      /** How many messages there are, those in work included. */
      length: () => client.getProperties().then(({ approximateMessagesCount }) => approximateMessagesCount, orAbsent(0)),
      /** The texts of the visible messages as they are on the wire. */
      texts: () =>
        client
          .peekMessages({ numberOfMessages: 32 })
          .then((answer) => answer.peekedMessageItems.map((item) => item.messageText), orAbsent([])),
    };
  };
  return { connectionString, queue, ...running };
}
