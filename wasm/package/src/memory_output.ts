// An output in memory, which ends as Blobs: for browsers without a private file
// system.

import {makeError} from './errors.js';
import {FileSource} from './file_source.js';
import type {PlanInfo, Source} from './monoquant.mjs';
import type {OpenedInput, OutgoingFile, Output} from './output.js';
import type {SharedFiles} from './protocol.js';
import {sizeText} from './sizes.js';
import {turn} from './turn.js';

/** A tab takes about this much twice over before browsers end it. */
export const MEMORY_LIMIT = 2 ** 30;

const BLOCK = 4 * 2 ** 20;

/** Bytes at any offsets; what was never written is zero. */
export class BlockBuffer implements Source {
  readonly #blocks: Array<Uint8Array<ArrayBuffer>|undefined>;

  constructor(readonly name: string, readonly size: number) {
    this.#blocks = new Array(Math.ceil(size / BLOCK));
  }

  #blockSize(index: number): number {
    return Math.min(BLOCK, this.size - index * BLOCK);
  }

  writeAt(offset: number, bytes: Uint8Array): void {
    if (offset + bytes.length > this.size) {
      throw new Error(`${this.name}: bytes behind its end`);
    }
    for (let done = 0; done < bytes.length;) {
      const at = offset + done;
      const index = Math.floor(at / BLOCK);
      const block = this.#blocks[index] ??=
          new Uint8Array(this.#blockSize(index));
      const inside = at % BLOCK;
      const count = Math.min(bytes.length - done, block.length - inside);
      block.set(bytes.subarray(done, done + count), inside);
      done += count;
    }
  }

  readAt(offset: number, target: Uint8Array): number {
    const total = Math.min(target.length, Math.max(0, this.size - offset));
    for (let done = 0; done < total;) {
      const at = offset + done;
      const index = Math.floor(at / BLOCK);
      const inside = at % BLOCK;
      const count = Math.min(total - done, this.#blockSize(index) - inside);
      const part = target.subarray(done, done + count);
      const block = this.#blocks[index];
      if (block === undefined) {
        part.fill(0);
      } else {
        part.set(block.subarray(inside, inside + count));
      }
      done += count;
    }
    return total;
  }

  /** The bytes as a File. Gives up its own copy on the way. */
  async toFile(): Promise<File> {
    const parts: Blob[] = [];
    for (let i = 0; i < this.#blocks.length; ++i) {
      parts.push(new Blob(
          [this.#blocks[i] ?? new Uint8Array(this.#blockSize(i))]));
      this.#blocks[i] = undefined;
      await turn();
    }
    return new File(parts, this.name);
  }

  clear(): void {
    this.#blocks.fill(undefined);
  }
}

interface MemoryFile extends OutgoingFile {
  toFile(): Promise<File>;
  clear(): void;
}

function newFile(
    {name, bytes, copied}: PlanInfo['outputs'][number]): MemoryFile {
  const buffer = new BlockBuffer(name, bytes);
  return {
    name,
    bytes,
    copied,
    writeAt: (offset, data) => buffer.writeAt(offset, data),
    source: () => buffer,
    toFile: () => buffer.toFile(),
    clear: () => buffer.clear(),
  };
}

function fileOfInput(
    {name, bytes, copied}: PlanInfo['outputs'][number],
    file: File): MemoryFile {
  return {
    name,
    bytes,
    copied,
    writeAt: () => {},
    source: () => new FileSource(file, name),
    toFile: async () => file,
    clear: () => {},
  };
}

export class MemoryOutput implements Output {
  readonly files: MemoryFile[];
  readonly temporary: string[] = [];

  constructor(info: PlanInfo, input: OpenedInput) {
    if (info.output.bytes > MEMORY_LIMIT) {
      throw makeError(
          'ResourceExhaustedError',
          `the output has ${sizeText(info.output.bytes)}, and memory has ` +
              `room for ${sizeText(MEMORY_LIMIT)}; let the browser keep data ` +
              'of this site (no private window), or use the command line');
    }
    this.files = info.outputs.map((planned) => {
      const copy = planned.copied ? input.fileOf?.(planned.name) : undefined;
      return copy === undefined ? newFile(planned) :
                                  fileOfInput(planned, copy);
    });
  }

  get shared(): SharedFiles {
    return {kind: 'port', files: this.files.length};
  }

  async commit(): Promise<Array<{file: File}>> {
    const done: Array<{file: File}> = [];
    for (const file of this.files) done.push({file: await file.toFile()});
    return done;
  }

  async abort(): Promise<void> {
    for (const file of this.files) file.clear();
  }
}
