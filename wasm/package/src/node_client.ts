// What the client needs of Node.

import * as fs from 'node:fs';
import * as os from 'node:os';
import {fileURLToPath} from 'node:url';
import {
  Worker, type Transferable as NodeTransferable,
} from 'node:worker_threads';

import type {WorkerHandle} from './worker_handle.js';

export function startNodeWorker(script: URL|string): WorkerHandle {
  const worker = new Worker(
      script instanceof URL || !script.startsWith('file:') ? script :
                                                             new URL(script),
      // Those of the program may be for the program alone (--input-type).
      {execArgv: []});
  // Until a call is made of it, a worker does not keep the program alive.
  worker.unref();
  return {
    send: (message, transfer) =>
        worker.postMessage(message, transfer as NodeTransferable[]),
    onMessage: (handle) => {
      worker.on('message', handle);
    },
    onDeath: (handle) => {
      worker.on('error', (error) => handle(error.message));
      worker.on('messageerror', (error) => handle(error.message));
      worker.on('exit', (code) => handle(`exit ${code}`));
    },
    keepAlive: (yes) => yes ? worker.ref() : worker.unref(),
    terminate: async () => {
      await worker.terminate();
    },
  };
}

export async function readNodeFile(
    where: URL|string): Promise<Uint8Array<ArrayBuffer>> {
  const isUrl = where instanceof URL || where.startsWith('file:');
  return new Uint8Array(
      await fs.promises.readFile(isUrl ? fileURLToPath(where) : where));
}

export function removeNodeFiles(paths: string[]): void {
  for (const path of paths) fs.rmSync(path, {recursive: true, force: true});
}

export function nodeProcessors(): number {
  return os.availableParallelism?.() ?? os.cpus().length;
}
