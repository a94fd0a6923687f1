// A File as a source of bytes, in a browser's worker.

import type {SyncFileReader} from './browser_types.js';
import {makeError} from './errors.js';
import type {Source} from './monoquant.mjs';

declare const FileReaderSync: {new (): SyncFileReader};

/**
 * One read makes one ArrayBuffer, so reads beyond 2 GiB fail: callers read in
 * pieces.
 */
export class FileSource implements Source {
  readonly name: string;
  readonly size: number;
  readonly #file: Blob;

  constructor(file: Blob, name: string) {
    this.#file = file;
    this.name = name;
    this.size = file.size;
  }

  readAt(offset: number, target: Uint8Array): number {
    const part = this.#file.slice(offset, offset + target.length);
    const bytes = new Uint8Array(this.#read(part));
    target.set(bytes);
    return bytes.length;
  }

  #read(part: Blob): ArrayBuffer {
    try {
      return new FileReaderSync().readAsArrayBuffer(part);
    } catch (error) {
      // A browser's own words for this speak of permissions.
      throw makeError(
          'UnavailableError',
          `${this.name}: was changed or removed while it was read; choose ` +
              'it again',
          {cause: error});
    }
  }
}
