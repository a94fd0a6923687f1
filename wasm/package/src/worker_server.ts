// Takes the page's messages in a worker and answers them.

import {makeError, toMessage} from './errors.js';
import {loadMonoquant} from './monoquant.mjs';
import type {WorkerPlatform} from './output.js';
import {ALIVE_MS, type FromWorker, type ToWorker} from './protocol.js';
import {Cancelled, Task} from './task.js';
import {WorkerCalls} from './worker_calls.js';

/** The worker's end of what it and the page say to each other. */
export interface Port {
  send(message: FromWorker, transfer?: Transferable[]): void;
  onMessage(handle: (message: ToWorker) => void): void;
}

/** How often progress is told, but for the first and last of a call. */
const PROGRESS_MS = 100;

export function serve(port: Port, platform: WorkerPlatform): void {
  const tasks = new Map<number, Task>();
  let calls: Promise<WorkerCalls>|null = null;

  function load(module: WebAssembly.Module): void {
    calls = loadMonoquant(module).then(
        (monoquant) => new WorkerCalls(monoquant, platform));
    // Told to whoever calls.
    calls.catch(() => {});
  }

  async function answer(
      {id, name, args}: Extract<ToWorker, {type: 'call'}>): Promise<void> {
    const task = new Task();
    tasks.set(id, task);
    const timer = setInterval(() => port.send({type: 'alive'}), ALIVE_MS);
    let toldAt = -Infinity;
    try {
      if (calls === null) throw new Error('a call before the module');
      const all = await calls;
      task.check();
      const call = all[name] as (
          args: unknown, task: Task,
          report: (step: Extract<FromWorker, {type: 'progress'}>['step']) =>
              void) => Promise<unknown>;
      const result = await call(args, task, (step) => {
        const now = performance.now();
        const last = step.bytesDone >= step.bytesTotal;
        if (!last && now - toldAt < PROGRESS_MS) return;
        toldAt = now;
        port.send({type: 'progress', id, step});
      });
      const transfer =
          result instanceof Uint8Array ? [result.buffer as ArrayBuffer] : [];
      port.send({type: 'done', id, result}, transfer);
    } catch (error) {
      if (error instanceof Cancelled) {
        port.send({type: 'cancelled', id});
        return;
      }
      const message = toMessage(error);
      port.send({type: 'failed', id, error: message});
      // A bug, or the module has stopped: what it has in memory is not to be
      // trusted any more.
      if (message.code === 'InternalError') {
        port.send({type: 'dead', error: message});
      }
    } finally {
      clearInterval(timer);
      tasks.delete(id);
    }
  }

  port.onMessage((message) => {
    switch (message.type) {
      case 'module':
        load(message.module);
        break;
      case 'call':
        void answer(message);
        break;
      case 'cancel':
        tasks.get(message.id)?.cancel();
        break;
    }
  });

  // What nothing has caught: the page learns of it at once.
  const report = (reason: unknown) => port.send({
    type: 'dead',
    error: toMessage(makeError(
        'InternalError', 'the worker stopped; start again',
        {cause: new Error(String(reason))})),
  });
  globalThis.addEventListener?.('unhandledrejection', (event) => report(
      (event as PromiseRejectionEvent).reason));
}
