// Files that one worker writes for the others: where only one handle of a file
// can be open, and in memory.

import {fromMessage, toMessage, type ErrorMessage} from './errors.js';
import type {PartSink} from './monoquant.mjs';
import type {OutgoingFile} from './output.js';

type Write = {file: number; offset: number; bytes: Uint8Array<ArrayBuffer>};
type Answer = {bytes: number; error?: ErrorMessage};

/** How many bytes may be on their way to the owner. */
const LIMIT = 32 * 2 ** 20;

/** The owner's end: writes what comes in. */
export function writeFor(port: MessagePort, files: OutgoingFile[]): void {
  port.onmessage = ({data}: MessageEvent<Write>) => {
    const answer: Answer = {bytes: data.bytes.length};
    try {
      files[data.file]?.writeAt(data.offset, data.bytes);
    } catch (error) {
      answer.error = toMessage(error);
    }
    port.postMessage(answer);
  };
}

/** The end of a worker that has no files of its own. */
export class RemoteFiles {
  readonly sinks: PartSink[];
  #underWay = 0;
  #error: Error|null = null;
  #wake: (() => void)|null = null;

  constructor(private readonly port: MessagePort, files: number) {
    this.sinks = Array.from({length: files}, (_, file) => ({
      writeAt: (offset, bytes) => this.#write(file, offset, bytes),
    }));
    port.onmessage = ({data}: MessageEvent<Answer>) => {
      this.#underWay -= data.bytes;
      if (data.error !== undefined) this.#error ??= fromMessage(data.error);
      this.#wake?.();
    };
  }

  #write(file: number, offset: number, bytes: Uint8Array): void {
    // The bytes are memory of the module.
    const copy = bytes.slice() as Uint8Array<ArrayBuffer>;
    this.#underWay += copy.length;
    const write: Write = {file, offset, bytes: copy};
    this.port.postMessage(write, [copy.buffer]);
  }

  /** Waits until little enough is under way; throws what the owner threw. */
  async drain(limit = LIMIT): Promise<void> {
    for (;;) {
      if (this.#error !== null) throw this.#error;
      if (this.#underWay <= limit) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  close(): void {
    this.port.close();
  }
}
