// The files of a drop, directories included.

// More than any checkpoint has; a whole disk, dropped by mistake, stops here.
const MOST_FILES = 5000;

/** Has to be called before anything is awaited: the drop is gone afterwards. */
export function droppedFiles(transfer: DataTransfer): Promise<File[]> {
  const entries = [...transfer.items]
                      .filter((item) => item.kind === 'file')
                      .map((item) => item.webkitGetAsEntry());
  const files = [...transfer.files];
  if (entries.every((e) => e === null || e.isFile)) {
    return Promise.resolve(files);
  }
  return walk(entries.filter((e) => e !== null));
}

async function walk(entries: FileSystemEntry[]): Promise<File[]> {
  const files: File[] = [];
  const queue = [...entries];
  for (let entry = queue.shift(); entry !== undefined; entry = queue.shift()) {
    if (files.length >= MOST_FILES) break;
    if (entry.isFile) {
      files.push(await fileOf(entry as FileSystemFileEntry));
    } else if (depth(entry) <= 1) {
      // Model directories are flat: what lies deeper is not the model's.
      queue.push(...await childrenOf(entry as FileSystemDirectoryEntry));
    }
  }
  return files;
}

function depth(entry: FileSystemEntry): number {
  return entry.fullPath.split('/').length - 1;
}

function fileOf(entry: FileSystemFileEntry): Promise<File> {
  return new Promise((resolve, reject) => {
    entry.file((file) => {
      // As a picked directory has it: "model/config.json".
      const value = entry.fullPath.replace(/^\//, '');
      if (value.includes('/')) {
        Object.defineProperty(file, 'webkitRelativePath', {value});
      }
      resolve(file);
    }, reject);
  });
}

async function childrenOf(directory: FileSystemDirectoryEntry):
    Promise<FileSystemEntry[]> {
  const reader = directory.createReader();
  const all: FileSystemEntry[] = [];
  // A call gives some of them; the last one none.
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>(
        (resolve, reject) => reader.readEntries(resolve, reject));
    if (some.length === 0) return all;
    all.push(...some);
  }
}
