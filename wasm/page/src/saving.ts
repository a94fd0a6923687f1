// Files for the person's disk: downloads, and the pickers of browsers that
// have them.

interface Pickers {
  showSaveFilePicker?
      (options: {suggestedName: string}): Promise<FileSystemFileHandle>;
  showDirectoryPicker?
      (options: {mode: 'readwrite'}): Promise<FileSystemDirectoryHandle>;
}

const pickers = window as unknown as Pickers;

export const canSaveAs = pickers.showSaveFilePicker !== undefined;
export const canSaveToFolder = pickers.showDirectoryPicker !== undefined;

/** Hands over text as a file. */
export function downloadText(name: string, type: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], {type}));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser may still be reading it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Where the person wants it. False if they have changed their mind. */
export async function saveAs(file: File, name: string): Promise<boolean> {
  try {
    const handle = await pickers.showSaveFilePicker!({suggestedName: name});
    await copyTo(handle, file);
    return true;
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') return false;
    throw error;
  }
}

/** All files into a new folder inside of one that the person chooses. */
export async function saveToFolder(
    folder: string, files: readonly{saveAs: string, file?: File}[],
    tell: (done: number) => void): Promise<boolean> {
  let parent;
  try {
    parent = await pickers.showDirectoryPicker!({mode: 'readwrite'});
  } catch (error) {
    if (error instanceof Error && error.name === 'AbortError') return false;
    throw error;
  }
  const target = await parent.getDirectoryHandle(folder, {create: true});
  for (const [i, {saveAs: name, file}] of files.entries()) {
    if (file === undefined) continue;
    tell(i);
    await copyTo(await target.getFileHandle(name, {create: true}), file);
  }
  return true;
}

async function copyTo(handle: FileSystemFileHandle, file: File): Promise<void> {
  await file.stream().pipeTo(await handle.createWritable());
}

/** False where the browser does not let a page write to the clipboard. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}
