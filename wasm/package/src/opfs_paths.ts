// Where runs keep their files in the origin's private file system, and how one
// tab tells that another one still needs them.
//
// Each run has a directory of its own and holds a Web Lock of the same name for
// as long as its files are wanted. A directory whose lock is free was left
// behind.

const RUNS = 'monoquant-runs';
const LOCK_PREFIX = 'monoquant-run-';

export function hasOpfs(): boolean {
  return typeof navigator !== 'undefined' &&
      typeof navigator.storage?.getDirectory === 'function';
}

function runsDirectory(): Promise<FileSystemDirectoryHandle> {
  return navigator.storage.getDirectory().then(
      (root) => root.getDirectoryHandle(RUNS, {create: true}));
}

export async function runDirectory(name: string, options?: {create: boolean}):
    Promise<FileSystemDirectoryHandle> {
  return (await runsDirectory()).getDirectoryHandle(name, options);
}

/**
 * Whether a browser has the functions and then refuses: where it keeps no data
 * of sites, or in private windows.
 */
export function isRefusal(error: unknown): boolean {
  return error instanceof DOMException &&
      ['SecurityError', 'UnknownError', 'InvalidStateError', 'NotAllowedError']
          .includes(error.name);
}

/** Waits a little for the handles of a worker that was just ended. */
export async function removeRunDirectory(name: string): Promise<void> {
  for (let attempt = 0;; ++attempt) {
    try {
      await (await runsDirectory()).removeEntry(name, {recursive: true});
      return;
    } catch (error) {
      // Then there is nothing.
      if (isRefusal(error)) return;
      if (error instanceof DOMException && error.name === 'NotFoundError') {
        return;
      }
      if (attempt === 20) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The right to a directory; it is free again after release(). */
export interface RunLease {
  readonly directory: string;
  release(): void;
}

export async function leaseRunDirectory(): Promise<RunLease> {
  const directory = randomName();
  if (navigator.locks === undefined) {
    return {directory, release: () => {}};
  }
  return new Promise((resolve, reject) => {
    navigator.locks
        .request(
            LOCK_PREFIX + directory,
            () => new Promise<void>(
                (release) => resolve({directory, release})))
        .catch((error: unknown) => {
          // Without data of sites there are no locks, and no directory.
          if (!isRefusal(error)) reject(error);
          resolve({directory, release: () => {}});
        });
  });
}

function randomName(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

async function listRunDirectories(): Promise<string[]> {
  const names: string[] = [];
  try {
    for await (const name of (await runsDirectory()).keys()) names.push(name);
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  return names;
}

/** Removes the directories that nobody holds. */
export async function sweepRunDirectories(): Promise<void> {
  if (!hasOpfs() || navigator.locks === undefined) return;
  for (const name of await listRunDirectories()) {
    await navigator.locks.request(
        LOCK_PREFIX + name, {ifAvailable: true}, async (lock) => {
          if (lock === null) return;
          // What cannot be removed now is left to the next sweep.
          await removeRunDirectory(name).catch(() => {});
        });
  }
}
