// A worker as the client sees it, of a browser or of Node.

import {isNode} from './environment.js';
import type {FromWorker, ToWorker} from './protocol.js';

export interface WorkerHandle {
  send(message: ToWorker, transfer: Transferable[]): void;
  onMessage(handle: (message: FromWorker) => void): void;
  /** Called with a reason when the worker has failed or ended. */
  onDeath(handle: (reason: string) => void): void;
  /** Under Node: whether the program has to wait for the worker. */
  keepAlive(yes: boolean): void;
  terminate(): Promise<void>;
}

export async function startWorker(
    script: URL|string|undefined): Promise<WorkerHandle> {
  if (isNode) {
    const {startNodeWorker} = await import('./node_client.js');
    return startNodeWorker(script ?? new URL('./worker.js', import.meta.url));
  }
  // Bundlers look for this expression as it stands.
  const worker = script === undefined ?
      new Worker(new URL('./worker.js', import.meta.url), {type: 'module'}) :
      new Worker(script, {type: 'module'});
  return {
    send: (message, transfer) => worker.postMessage(message, transfer),
    onMessage: (handle) => {
      worker.onmessage = ({data}: MessageEvent<FromWorker>) => handle(data);
    },
    onDeath: (handle) => {
      worker.onerror = (event) => {
        event.preventDefault();
        handle(event.message || 'its script could not be loaded');
      };
      worker.onmessageerror = () => handle('a message could not be read');
    },
    keepAlive: () => {},
    terminate: async () => worker.terminate(),
  };
}
