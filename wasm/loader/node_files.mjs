// Files of the local file system as sources and sinks for monoquant.mjs, under
// Node.

import {randomBytes} from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';

class FileSource {
  #path;
  #descriptor = null;

  constructor(filePath, size) {
    this.#path = filePath;
    this.name = path.basename(filePath);
    this.size = size;
  }

  // Opened at the first read: most files of a directory are never asked for.
  readAt(offset, target) {
    this.#descriptor ??= fs.openSync(this.#path, 'r');
    let count = 0;
    while (count < target.length) {
      const got = fs.readSync(
          this.#descriptor, target, count, target.length - count,
          offset + count);
      if (got === 0) break;
      count += got;
    }
    return count;
  }

  close() {
    if (this.#descriptor !== null) fs.closeSync(this.#descriptor);
    this.#descriptor = null;
  }
}

/**
 * The checkpoint at `where`, a file or a directory, for Monoquant.open. A
 * file's neighbours come along: an index needs its shards. Close it when done.
 */
export function openFiles(where) {
  const isDirectory = fs.statSync(where).isDirectory();
  const directory = isDirectory ? where : path.dirname(where);
  const files = [];
  for (const name of fs.readdirSync(directory)) {
    const filePath = path.join(directory, name);
    const stat = fs.statSync(filePath, {throwIfNoEntry: false});
    if (stat?.isFile()) files.push(new FileSource(filePath, stat.size));
  }
  return {
    path: where,
    main: isDirectory ? undefined : path.basename(where),
    files,
    close() {
      for (const file of files) file.close();
    },
  };
}

function checkFree(where, remedy) {
  if (!fs.existsSync(where)) return;
  throw Object.assign(
      new Error(`${where} exists; ${remedy}`), {code: 'EEXIST'});
}

// The hidden name beside `where` under which it is written.
function temporaryName(where) {
  return path.join(
      path.dirname(where),
      `.${path.basename(where)}.mq-${randomBytes(6).toString('hex')}.tmp`);
}

/**
 * An output file of `bytes` bytes at `where`. It is written under a temporary
 * name in the same directory and takes its own name at commit, whole; without
 * `overwrite` it is an error if that name is taken.
 */
export class FileSink {
  #path;
  #temporary;
  #descriptor;
  #overwrite;

  constructor(where, bytes, {overwrite = false} = {}) {
    this.#path = where;
    this.#overwrite = overwrite;
    if (!overwrite) checkFree(where, 'pass overwrite to replace it');
    this.#temporary = temporaryName(where);
    this.#descriptor = fs.openSync(this.#temporary, 'wx');
    try {
      fs.ftruncateSync(this.#descriptor, bytes);
    } catch (error) {
      this.abort();
      throw error;
    }
  }

  /** Where the bytes are until commit: other writers and readers open it. */
  get temporaryPath() {
    return this.#temporary;
  }

  writeAt(offset, bytes) {
    let count = 0;
    while (count < bytes.length) {
      count += fs.writeSync(
          this.#descriptor, bytes, count, bytes.length - count,
          offset + count);
    }
  }

  commit() {
    fs.fsyncSync(this.#descriptor);
    if (this.#overwrite) {
      fs.renameSync(this.#temporary, this.#path);
    } else {
      // Unlike a rename, a link does not replace what came in the meantime.
      fs.linkSync(this.#temporary, this.#path);
      fs.unlinkSync(this.#temporary);
    }
    fs.closeSync(this.#descriptor);
  }

  abort() {
    fs.closeSync(this.#descriptor);
    fs.rmSync(this.#temporary, {force: true});
  }
}

/**
 * An output directory at `where`, where nothing may be yet. Its files are
 * written into a temporary directory beside it, which takes its own name at
 * commit, whole: call that when all sinks are committed, or abort.
 */
export class OutputDirectory {
  #path;
  #temporary;

  constructor(where) {
    // Without a slash at its end, behind which there is no name.
    this.#path = path.resolve(where);
    checkFree(this.#path, 'choose another directory');
    this.#temporary = temporaryName(this.#path);
    fs.mkdirSync(this.#temporary);
  }

  /** Where the files are until commit. */
  get temporaryPath() {
    return this.#temporary;
  }

  /** A sink for the file `name` of `bytes` bytes. */
  createSink(bytes, name) {
    return new FileSink(path.join(this.#temporary, name), bytes);
  }

  commit() {
    fs.renameSync(this.#temporary, this.#path);
  }

  abort() {
    fs.rmSync(this.#temporary, {recursive: true, force: true});
  }
}
