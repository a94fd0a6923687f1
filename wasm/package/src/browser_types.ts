// What browsers have in workers alone, and TypeScript's DOM does not list.

export interface SyncAccessHandle {
  read(target: Uint8Array, options: {at: number}): number;
  write(bytes: Uint8Array, options: {at: number}): number;
  truncate(size: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

export type SyncFileHandle = FileSystemFileHandle&{
  createSyncAccessHandle(options?: {mode: string}): Promise<SyncAccessHandle>;
};

export interface SyncFileReader {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}
