// Reads files back for their SHA-256.

import type {Monoquant} from './monoquant.mjs';
import type {OutgoingFile} from './output.js';
import type {StepMessage} from './protocol.js';
import type {Task} from './task.js';
import {turn} from './turn.js';

const PIECE = 8 * 2 ** 20;

/** In the order of the files, as hexadecimal digits. */
export async function hashFiles(
    monoquant: Monoquant, files: OutgoingFile[], task: Task,
    report: (step: StepMessage) => void): Promise<string[]> {
  const bytesTotal = files.reduce((sum, {bytes}) => sum + bytes, 0);
  let bytesDone = 0;
  const digests: string[] = [];
  const buffer = new Uint8Array(Math.min(PIECE, bytesTotal));
  for (const file of files) {
    const source = file.source();
    const hash = monoquant.sha256();
    try {
      for (let at = 0; at < file.bytes;) {
        task.check();
        const part = buffer.subarray(0, Math.min(PIECE, file.bytes - at));
        const count = source.readAt(at, part);
        if (count !== part.length) {
          throw new Error(`${file.name}: has become shorter`);
        }
        hash.add(part);
        at += count;
        bytesDone += count;
        report({
          phase: 'hash',
          bytesDone,
          bytesTotal,
          tensor: null,
          signal: 0,
          noise: 0,
        });
        await turn();
      }
      digests.push(hash.digest());
    } finally {
      hash.close();
      source.close?.();
    }
  }
  return digests;
}
