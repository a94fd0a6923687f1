// What /proc says of the processes that a test has started, and the memory of
// WebAssembly, which only the browser can tell.

import * as fs from 'node:fs';

function read(file) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch {
    return '';  // The process ended.
  }
}

/** The ids of the processes that `pid` and its descendants have started. */
export function descendants(pid) {
  const children = new Map();
  for (const name of fs.readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    // After the name of the program, which may have anything in it.
    const parent = Number(
        read(`/proc/${name}/stat`).split(') ').pop().split(' ')[1]);
    children.set(parent, [...children.get(parent) ?? [], Number(name)]);
  }
  const found = [];
  const waiting = [pid];
  while (waiting.length > 0) {
    for (const child of children.get(waiting.pop()) ?? []) {
      found.push(child);
      waiting.push(child);
    }
  }
  return found;
}

/** The most memory that a renderer of ours was ever resident with, in bytes. */
export function rendererPeakBytes() {
  const peaks = descendants(process.pid)
      .filter((pid) => read(`/proc/${pid}/cmdline`)
          .split('\0').includes('--type=renderer'))
      .map((pid) => /VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`)))
      .map((match) => match ? Number(match[1]) * 1024 : 0);
  return Math.max(0, ...peaks);
}

/**
 * Follows the workers of a page. wasmBytes() is the memory that WebAssembly has
 * in each worker that there is: [bytes].
 */
export class WorkerMemory {
  #session;
  #next = 0;
  #replies = new Map();
  #workers = new Map();

  static async of(page) {
    const memory = new WorkerMemory();
    const session = await page.context().newCDPSession(page);
    memory.#session = session;
    session.on('Target.attachedToTarget', ({sessionId, targetInfo}) => {
      if (targetInfo.type === 'worker') {
        memory.#workers.set(sessionId, targetInfo.url);
      }
    });
    session.on('Target.detachedFromTarget', ({sessionId}) => {
      memory.#workers.delete(sessionId);
      for (const reply of memory.#replies.values()) {
        if (reply.sessionId === sessionId) reply.resolve(null);
      }
    });
    session.on('Target.receivedMessageFromTarget', ({message}) => {
      const {id, result} = JSON.parse(message);
      memory.#replies.get(id)?.resolve(result ?? null);
    });
    await session.send('Target.setAutoAttach', {
      autoAttach: true, waitForDebuggerOnStart: false, flatten: false,
    });
    return memory;
  }

  async #send(sessionId, method, params) {
    const id = ++this.#next;
    const reply = new Promise((resolve) => {
      this.#replies.set(id, {resolve, sessionId});
    });
    await this.#session.send('Target.sendMessageToTarget', {
      sessionId, message: JSON.stringify({id, method, params}),
    });
    try {
      return await reply;
    } finally {
      this.#replies.delete(id);
    }
  }

  async #of(sessionId) {
    const prototype = await this.#send(sessionId, 'Runtime.evaluate', {
      expression: 'WebAssembly.Memory.prototype', objectGroup: 'memory',
    });
    if (!prototype) return null;
    const found = await this.#send(sessionId, 'Runtime.queryObjects', {
      prototypeObjectId: prototype.result.objectId, objectGroup: 'memory',
    });
    if (!found) return null;
    const sizes = await this.#send(sessionId, 'Runtime.callFunctionOn', {
      objectId: found.objects.objectId,
      functionDeclaration:
          'function() { return this.map((one) => one.buffer.byteLength); }',
      returnByValue: true,
    });
    await this.#send(
        sessionId, 'Runtime.releaseObjectGroup', {objectGroup: 'memory'});
    return sizes && Math.max(0, ...sizes.result.value);
  }

  async wasmBytes() {
    const workers = [...this.#workers.keys()];
    const sizes = await Promise.all(
        workers.map((worker) => this.#of(worker).catch(() => null)));
    return sizes.filter((size) => size !== null);
  }
}
